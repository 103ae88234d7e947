// Whether the ranks of a node have the cores to wait awake.
#pragma once

#include <span>

#include "collectives/shm/mesh.hpp"

namespace ingot::shm {

/// Whether `threads` busy threads of every member have a core each, bound to cores or not.
/// Collective and blocking.
bool have_cores(Mesh& mesh, std::span<const int> members, int threads);

}  // namespace ingot::shm
