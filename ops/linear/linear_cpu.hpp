// The CPU kernels of linear, for its registration.
#pragma once

#include <memory>

#include "ops/op.hpp"

namespace ingot::cpu {

std::unique_ptr<Kernel> prepare_linear(const PrepareContext& context);
std::unique_ptr<Kernel> prepare_linear_backward_input(const PrepareContext& context);
std::unique_ptr<Kernel> prepare_linear_backward_gelu(const PrepareContext& context);
std::unique_ptr<Kernel> prepare_linear_backward_weight(const PrepareContext& context);

}  // namespace ingot::cpu
