#include "launcher/fill_registry.hpp"

#include "ops/base/error.hpp"
#include "ops/plugin.hpp"

namespace ingot {

void fill_registry(Registry& registry, const Config& config, bool allow_plugins) {
  register_ops(registry);
  if (!config.plugins.empty() && !allow_plugins) {
    fail(ExitCode::kUsage,
         "the configuration names plugins, which run code of their own: add --allow-plugins to "
         "the command line to load {}",
         config.plugins.front());
  }
  for (const std::string& plugin : config.plugins) load_plugin(plugin, registry);
}

}  // namespace ingot
