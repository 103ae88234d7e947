// libingot_cuda.so, which holds everything of ingot that needs CUDA, as a file: opened when a GPU
// is asked for, so that ingot starts where no CUDA library is installed. It resolves ingot's
// symbols in the executable, as plugins do. Each floor has a C entry point of its own in it:
// ops/cuda_module.hpp and collectives/cuda_collectives.hpp.
#pragma once

namespace ingot {

/// Changes whenever a header that the library shares with ingot changes incompatibly. Entry points
/// take it and answer null to any other.
constexpr int kCudaModuleVersion = 2;

/// What an entry point `void* name(int version)` of the library answers. Opens the library beside
/// the executable, or the file that the environment variable INGOT_CUDA_MODULE names; it stays
/// loaded. Throws Error(kEnvironment) with what is missing.
void* cuda_library_entry(const char* name);

}  // namespace ingot
