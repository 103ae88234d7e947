// Launch function of tabular_input, for tables of float and Bf16; see tabular_kernels.cu. Its
// backward is ops/cuda_index_sum.hpp.
#pragma once

#include "ops/base/bf16.hpp"
#include "ops/cuda_launch.hpp"

namespace ingot::cuda {

template <typename T>
struct TabularKernels {
  struct Arguments {
    const float* features = nullptr;           ///< [rows, feature_columns]
    const std::int32_t* categories = nullptr;  ///< [rows, category_columns]
    const T* table = nullptr;                  ///< [table_rows, width]
    T* y = nullptr;  ///< [rows, feature_columns + category_columns * width]
    std::int64_t rows = 0;
    int feature_columns = 0;
    int category_columns = 0;
    int width = 0;
    std::int64_t table_rows = 0;
    KernelFault* fault = nullptr;
  };
  /// An index outside the table is reported, and counts as a row of zeros.
  static void forward(const CudaLaunch& launch, const Arguments& arguments);
};

}  // namespace ingot::cuda
