// Launch function of embedding, for float and Bf16; see embedding_kernels.cu. Its backward is
// ops/cuda_index_sum.hpp.
#pragma once

#include "ops/base/bf16.hpp"
#include "ops/cuda_launch.hpp"

namespace ingot::cuda {

template <typename T>
struct EmbeddingKernels {
  struct Arguments {
    const std::int32_t* tokens = nullptr;     ///< [count]
    const T* table = nullptr;                 ///< [rows, columns]
    const std::int32_t* positions = nullptr;  ///< [count] or nullptr
    const T* position_table = nullptr;        ///< [position_rows, columns]
    T* y = nullptr;                           ///< [count, columns]
    std::int64_t count = 0;
    std::int64_t rows = 0;
    std::int64_t position_rows = 0;
    std::int64_t columns = 0;
    KernelFault* fault = nullptr;
  };
  /// An index outside its table is reported, and counts as a row of zeros.
  static void forward(const CudaLaunch& launch, const Arguments& arguments);
};

}  // namespace ingot::cuda
