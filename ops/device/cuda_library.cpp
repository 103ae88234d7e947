#include "ops/device/cuda_library.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

constexpr const char* kFileName = "libingot_cuda.so";

std::string library_path() {
  // An empty value counts as none.
  if (const char* path = std::getenv("INGOT_CUDA_MODULE"); path != nullptr && *path != '\0') {
    return path;
  }
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string("./") + kFileName : (program.parent_path() / kFileName).string();
}

void* open_library(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    fail(ExitCode::kEnvironment,
         "this ingot has no CUDA module ({} is missing): build it where the CUDA Toolkit is "
         "installed",
         path);
  }
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fail(
        ExitCode::kEnvironment,
        "cannot open the CUDA module: {}; install the CUDA runtime, cuBLAS and NCCL libraries that "
        "it names, or put their folder into LD_LIBRARY_PATH",
        dlerror());
  }
  return library;
}

}  // namespace

void* cuda_library_entry(const char* name) {
  static const std::string path = library_path();
  static void* const library = open_library(path);
  using Entry = void* (*)(int version);
  const auto entry = reinterpret_cast<Entry>(dlsym(library, name));
  void* answer = entry == nullptr ? nullptr : entry(kCudaModuleVersion);
  if (answer == nullptr) {
    fail(ExitCode::kEnvironment,
         "{} was built for another version of ingot than this executable (version {}): build both "
         "again",
         path, kCudaModuleVersion);
  }
  return answer;
}

}  // namespace ingot
