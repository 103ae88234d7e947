#include "ops/cuda_module.hpp"

namespace ingot {

CudaModule& load_cuda_module() {
  static auto& module = *static_cast<CudaModule*>(cuda_library_entry("ingot_cuda_module"));
  return module;
}

}  // namespace ingot
