#include "ops/base/error.hpp"

namespace ingot {}
