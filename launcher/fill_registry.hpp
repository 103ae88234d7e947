// All ops that a configuration can name.
#pragma once

#include "ops/op.hpp"
#include "runtime/config/config.hpp"

namespace ingot {

/// Adds ingot's own ops and those of the configuration's plugins. Error(kUsage) where there are
/// plugins and they are not allowed: loading one runs its code.
void fill_registry(Registry& registry, const Config& config, bool allow_plugins);

}  // namespace ingot
