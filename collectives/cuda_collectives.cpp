#include "collectives/cuda_collectives.hpp"

#include "ops/device/cuda_library.hpp"

namespace ingot {

CudaCollectives& load_cuda_collectives() {
  static auto& module =
      *static_cast<CudaCollectives*>(cuda_library_entry("ingot_cuda_collectives"));
  return module;
}

}  // namespace ingot
