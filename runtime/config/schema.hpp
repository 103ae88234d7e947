// The tables of all keys of a job description: names, types, ranges, meanings. Loading, rendering
// and the reference page read them.
#pragma once

#include "ops/base/yaml/schema.hpp"

namespace ingot {

/// The table of Config; made anew by each call.
yaml::Schema config_schema();

}  // namespace ingot
