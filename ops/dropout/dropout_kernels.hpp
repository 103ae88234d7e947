// Launch function of dropout, for float and Bf16; see dropout_kernels.cu.
#pragma once

#include "ops/base/bf16.hpp"
#include "ops/cuda_launch.hpp"
#include "ops/step_values.hpp"

namespace ingot::cuda {

template <typename T>
struct DropoutKernels {
  struct Arguments {
    const T* x = nullptr;
    T* y = nullptr;                         ///< may be x
    const std::int64_t* samples = nullptr;  ///< [count], global sample indices
    const StepScalars* step = nullptr;      ///< in device memory
    std::int64_t count = 0;                 ///< samples
    std::int64_t per_sample = 0;            ///< elements
    std::int64_t layer = 0;
    std::int32_t threshold = 0;  ///< an element is dropped where its 24 random bits are below it
    float scale = 1;
  };
  static void run(const CudaLaunch& launch, const Arguments& arguments);
};

}  // namespace ingot::cuda
