#include "ops/cuda_module.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

namespace ingot {
namespace {

constexpr const char* kFileName = "libingot_cuda.so";

std::string module_path() {
  // An empty value counts as none.
  if (const char* path = std::getenv("INGOT_CUDA_MODULE"); path != nullptr && *path != '\0') {
    return path;
  }
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string("./") + kFileName : (program.parent_path() / kFileName).string();
}

CudaModule& open_module() {
  const std::string path = module_path();
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    fail(ExitCode::kEnvironment,
         "this ingot has no CUDA module ({} is missing): build it where the CUDA Toolkit is "
         "installed",
         path);
  }
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fail(ExitCode::kEnvironment,
         "cannot open the CUDA module: {}; install the CUDA runtime and cuBLAS libraries that it "
         "names, or put their folder into LD_LIBRARY_PATH",
         dlerror());
  }
  using Entry = CudaModule* (*)(int version);
  const auto entry = reinterpret_cast<Entry>(dlsym(library, "ingot_cuda_module"));
  CudaModule* module = entry == nullptr ? nullptr : entry(kCudaModuleVersion);
  if (module == nullptr) {
    fail(ExitCode::kEnvironment,
         "{} was built for another version of ingot than this executable (version {}): build both "
         "again",
         path, kCudaModuleVersion);
  }
  return *module;
}

}  // namespace

CudaModule& load_cuda_module() {
  static CudaModule& module = open_module();
  return module;
}

}  // namespace ingot
