// The CPU kernel of rope, for its registration.
#pragma once

#include <memory>

#include "ops/op.hpp"

namespace ingot::cpu {

std::unique_ptr<Kernel> prepare_rope(const PrepareContext& context);

}  // namespace ingot::cpu
