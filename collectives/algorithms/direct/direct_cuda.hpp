// The module's own door to the direct communicator.
#pragma once

#include "collectives/algorithms/direct/direct.hpp"

namespace ingot::direct {

/// Collective and blocking. All ranks get the same kind of result.
DirectResult create(const DirectOptions& options);

}  // namespace ingot::direct
