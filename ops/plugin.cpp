#include "ops/plugin.hpp"

#include <dlfcn.h>

namespace ingot {

namespace {

template <typename Function>
Function symbol(void* library, const char* name, const std::string& path) {
  void* address = dlsym(library, name);
  if (address == nullptr) {
    fail(ExitCode::kUsage, "{}: no function '{}': this is not a plugin of ingot", path, name);
  }
  return reinterpret_cast<Function>(address);
}

}  // namespace

void load_plugin(const std::string& path, Registry& registry) {
  // A name without a slash would be searched in the system's folders.
  const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) fail(ExitCode::kUsage, "cannot open plugin {}: {}", path, dlerror());
  const int version = symbol<int (*)()>(library, "ingot_plugin_version", path)();
  if (version != kPluginVersion) {
    fail(ExitCode::kUsage, "{}: built for plugin version {}, this ingot has {}: build it again",
         path, version, kPluginVersion);
  }
  symbol<void (*)(Registry&)>(library, "ingot_register_ops", path)(registry);
}

}  // namespace ingot
