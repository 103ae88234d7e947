// The CPU kernels of attention, for its registration.
#pragma once

#include <memory>

#include "ops/op.hpp"

namespace ingot::cpu {

std::unique_ptr<Kernel> prepare_attention(const PrepareContext& context);
std::unique_ptr<Kernel> prepare_attention_backward(const PrepareContext& context);
std::unique_ptr<Kernel> prepare_attention_cached(const PrepareContext& context);

}  // namespace ingot::cpu
