// Launch function of rope, for float and Bf16; see rope_kernels.cu.
#pragma once

#include "ops/base/bf16.hpp"
#include "ops/cuda_launch.hpp"

namespace ingot::cuda {

/// Pairs of the largest head that the kernel takes.
constexpr int kRopePairs = 256;

/// What element pair i of a head is turned by from one position to the next, in whole turns:
/// direction * base^(-2i/D) / (2 pi). Passed by value with the launch.
struct RopeTurns {
  double of_pair[kRopePairs];
};

template <typename T>
struct RopeKernels {
  struct Arguments {
    const T* x = nullptr;                     ///< [tokens, rotated + values heads, head_size]
    const std::int32_t* positions = nullptr;  ///< [tokens]
    T* y = nullptr;                           ///< like x; may be x
    std::int64_t tokens = 0;
    int rotated = 0;  ///< heads that are rotated: queries and keys
    int values = 0;   ///< heads behind them that are copied
    int head_size = 0;
  };
  static void run(const CudaLaunch& launch, const Arguments& arguments, const RopeTurns& turns);
};

}  // namespace ingot::cuda
