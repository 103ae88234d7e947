#include "ops/base/error.hpp"
