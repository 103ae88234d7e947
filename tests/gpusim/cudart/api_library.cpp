// Code loaded at run time, and functions of the driver.
#include <cuda_runtime_api.h>

#include <cstring>
#include <fstream>
#include <iterator>

#include "cudart/api.hpp"
#include "cudart/launch.hpp"
#include "cudart/load.hpp"

using namespace gpusim;
using namespace gpusim::cudart;

namespace {

constexpr std::uint32_t kWrapperMagic = 0x466243b1;

FatBinary& library_of(cudaLibrary_t handle) {
  FatBinary* image = Registry::instance().image(handle);
  require(image != nullptr, cudaErrorInvalidResourceHandle);
  return *image;
}

/// A text of PTX, or the wrapper that nvcc's -fatbin headers hold.
cudaLibrary_t load_code(const void* code, const std::string& name) {
  std::uint32_t magic = 0;
  std::memcpy(&magic, code, sizeof(magic));
  FatBinary* image = nullptr;
  if (magic == kWrapperMagic) {
    image = Registry::instance().add(code);
  } else {
    const auto* text = static_cast<const char*>(code);
    if (std::strstr(text, ".version") == nullptr) {
      explain(name + ": neither PTX nor a fat binary; machine code alone is not executed");
      fail(cudaErrorInvalidKernelImage);
    }
    image = Registry::instance().add(nullptr);
    image->ptx = text;
  }
  image->program = name;
  load(*image, Runtime::instance().current().physical);
  return reinterpret_cast<cudaLibrary_t>(image);
}

std::vector<std::string> entries_of(FatBinary& image) {
  LoadedModule& module = load(image, Runtime::instance().current().physical);
  std::vector<std::string> names;
  for (const auto& function : module.instance.module->functions) {
    if (function.entry) names.push_back(function.name);
  }
  return names;
}

void give_variable(FatBinary& image, const char* name, void** pointer, size_t* bytes,
                   bool managed) {
  LoadedModule& module = load(image, Runtime::instance().current().physical);
  const ptx::Module& code = *module.instance.module;
  auto found = code.variable_by_name.find(name);
  require(found != code.variable_by_name.end(), cudaErrorSymbolNotFound);
  const auto index = static_cast<std::size_t>(found->second);
  require(code.variables[index].managed == managed, cudaErrorSymbolNotFound);
  if (pointer != nullptr) *pointer = reinterpret_cast<void*>(module.instance.addresses[index]);
  if (bytes != nullptr) *bytes = code.variables[index].bytes;
}

}  // namespace

extern "C" {

cudaError_t cudaLibraryLoadData(cudaLibrary_t* library, const void* code, cudaJitOption*, void**,
                                unsigned, cudaLibraryOption*, void**, unsigned) {
  return api("cudaLibraryLoadData", [&] {
    require(library != nullptr && code != nullptr, cudaErrorInvalidValue);
    *library = load_code(code, "the code given to cudaLibraryLoadData");
  });
}

cudaError_t cudaLibraryLoadFromFile(cudaLibrary_t* library, const char* path, cudaJitOption*,
                                    void**, unsigned, cudaLibraryOption*, void**, unsigned) {
  return api("cudaLibraryLoadFromFile", [&] {
    require(library != nullptr && path != nullptr, cudaErrorInvalidValue);
    std::ifstream file(path, std::ios::binary);
    require(static_cast<bool>(file), cudaErrorFileNotFound);
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    require(text.size() >= 4, cudaErrorInvalidKernelImage);
    *library = load_code(text.c_str(), path);
  });
}

cudaError_t cudaLibraryUnload(cudaLibrary_t library) {
  return api("cudaLibraryUnload", [&] {
    FatBinary& image = library_of(library);
    for (auto& device : Runtime::instance().devices) {
      if (device->used) wait_for(*device);
    }
    Registry::instance().remove(image);
    unload(image, -1);
  });
}

cudaError_t cudaLibraryGetKernel(cudaKernel_t* kernel, cudaLibrary_t library, const char* name) {
  return api("cudaLibraryGetKernel", [&] {
    require(kernel != nullptr && name != nullptr, cudaErrorInvalidValue);
    FatBinary& image = library_of(library);
    for (const std::string& entry : entries_of(image)) {
      if (entry != name) continue;
      *kernel = Registry::instance().kernel_named(image, entry)->handle();
      return;
    }
    fail(cudaErrorSymbolNotFound);
  });
}

cudaError_t cudaLibraryGetKernelCount(unsigned* count, cudaLibrary_t library) {
  return api("cudaLibraryGetKernelCount", [&] {
    require(count != nullptr, cudaErrorInvalidValue);
    *count = static_cast<unsigned>(entries_of(library_of(library)).size());
  });
}

cudaError_t cudaLibraryEnumerateKernels(cudaKernel_t* kernels, unsigned count,
                                        cudaLibrary_t library) {
  return api("cudaLibraryEnumerateKernels", [&] {
    require(kernels != nullptr, cudaErrorInvalidValue);
    FatBinary& image = library_of(library);
    const std::vector<std::string> entries = entries_of(image);
    for (unsigned i = 0; i < count && i < entries.size(); ++i) {
      kernels[i] = Registry::instance().kernel_named(image, entries[i])->handle();
    }
  });
}

cudaError_t cudaLibraryGetGlobal(void** pointer, size_t* bytes, cudaLibrary_t library,
                                 const char* name) {
  return api("cudaLibraryGetGlobal", [&] {
    require(name != nullptr, cudaErrorInvalidValue);
    give_variable(library_of(library), name, pointer, bytes, false);
  });
}

cudaError_t cudaLibraryGetManaged(void** pointer, size_t* bytes, cudaLibrary_t library,
                                  const char* name) {
  return api("cudaLibraryGetManaged", [&] {
    require(name != nullptr, cudaErrorInvalidValue);
    give_variable(library_of(library), name, pointer, bytes, true);
  });
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned,
                                             unsigned long long,
                                             cudaDriverEntryPointQueryResult* status) {
  return api("cudaGetDriverEntryPointByVersion", [&] {
    require(name != nullptr && function != nullptr, cudaErrorInvalidValue);
    // The driver's functions are not simulated: callers are told as by a driver that lacks them.
    *function = nullptr;
    if (status != nullptr) *status = cudaDriverEntryPointSymbolNotFound;
  });
}

cudaError_t cudaGetDriverEntryPoint(const char* name, void** function, unsigned long long flags,
                                    cudaDriverEntryPointQueryResult* status) {
  return cudaGetDriverEntryPointByVersion(name, function, CUDART_VERSION, flags, status);
}

}  // extern "C"
