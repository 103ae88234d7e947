// GELU's gradient on the CPU, which activation computes and linear fuses into a product.
#pragma once

#include "ops/device/cpu/thread_pool.hpp"
#include "ops/tensor.hpp"

namespace ingot::cpu {

/// dx = dy gelu'(x), tensors of one type; dx may be dy.
void gelu_backward(ThreadPool& pool, const TensorView& dy, const TensorView& x,
                   const TensorView& dx);

}  // namespace ingot::cpu
