// What other ops use of the activations' CPU kernels.
#pragma once

#include "ops/device/cpu/thread_pool.hpp"
#include "ops/tensor.hpp"

namespace ingot::cpu {

/// dx = dy gelu'(x), tensors of one type; dx may be dy.
void gelu_backward(ThreadPool& pool, const TensorView& dy, const TensorView& x,
                   const TensorView& dx);

}  // namespace ingot::cpu
