// Ops from outside: a shared library with two C functions,
//
//   extern "C" int ingot_plugin_version();                        // returns ingot::kPluginVersion
//   extern "C" void ingot_register_ops(ingot::Registry& registry);
//
// Loading one runs its code, so a configuration alone must not do it: the command line has to allow
// it.
#pragma once

#include <string>

#include "ops/op.hpp"

namespace ingot {

/// Changes whenever ops/op.hpp or a header that it includes changes incompatibly.
constexpr int kPluginVersion = 1;

/// Opens the library and lets it add its ops; it stays loaded until the process ends, since the
/// ops' code lies in it. Error(kUsage) names the path and what is missing or which version it has.
void load_plugin(const std::string& path, Registry& registry);

}  // namespace ingot
