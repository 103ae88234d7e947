// The tables behind registration. Never destroyed: programs unregister from their exit handlers.
#include "cudart/registry.hpp"

namespace gpusim::cudart {

Registry& Registry::instance() {
  static Registry* registry = new Registry;
  return *registry;
}

FatBinary* Registry::add(const void* wrapper) {
  std::lock_guard lock(mutex_);
  images_.push_back(std::make_unique<FatBinary>());
  images_.back()->wrapper = wrapper;
  return images_.back().get();
}

void Registry::add_kernel(FatBinary& image, const void* host, const char* name) {
  std::lock_guard lock(mutex_);
  auto kernel = std::make_unique<Kernel>();
  kernel->image = &image;
  kernel->name = name;
  kernel->host = host;
  // A stub of a template kernel may be registered by several translation units: the first counts.
  kernels_.emplace(host, kernel.get());
  kernels_.emplace(kernel.get(), kernel.get());
  image.kernels.push_back(std::move(kernel));
}

void Registry::add_symbol(FatBinary& image, Symbol symbol) {
  std::lock_guard lock(mutex_);
  symbol.image = &image;
  auto owned = std::make_unique<Symbol>(std::move(symbol));
  symbols_.emplace(owned->host, owned.get());
  image.symbols.push_back(std::move(owned));
}

void Registry::remove(FatBinary& image) {
  // Work in flight may still use the image, so it only stops being found.
  std::lock_guard lock(mutex_);
  image.registered = false;
  std::erase_if(kernels_, [&](const auto& entry) { return entry.second->image == &image; });
  std::erase_if(symbols_, [&](const auto& entry) { return entry.second->image == &image; });
}

Kernel* Registry::kernel(const void* stub_or_handle) {
  std::lock_guard lock(mutex_);
  auto found = kernels_.find(stub_or_handle);
  return found == kernels_.end() ? nullptr : found->second;
}

Kernel* Registry::kernel_named(FatBinary& image, const std::string& name) {
  {
    std::lock_guard lock(mutex_);
    for (auto& kernel : image.kernels) {
      if (kernel->name == name) return kernel.get();
    }
  }
  add_kernel(image, nullptr, name.c_str());
  std::lock_guard lock(mutex_);
  kernels_.erase(nullptr);
  return image.kernels.back().get();
}

Symbol* Registry::symbol(const void* host) {
  std::lock_guard lock(mutex_);
  auto found = symbols_.find(host);
  return found == symbols_.end() ? nullptr : found->second;
}

FatBinary* Registry::image(const void* handle) {
  std::lock_guard lock(mutex_);
  for (auto& image : images_) {
    if (image.get() == handle && image->registered) return image.get();
  }
  return nullptr;
}

}  // namespace gpusim::cudart
