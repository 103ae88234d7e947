// The windows of the generic address space, as the blocks and warps of a launch see them.
#pragma once

#include <cstdint>

#include "execute/context.hpp"
#include "ptx/module.hpp"

namespace gpusim::execute {

/// Shared addresses of another block of the cluster carry its rank + 1 above these bits, as mapa
/// makes them.
constexpr unsigned kClusterShift = 24;

inline std::uint64_t shared_window(const Block& block) {
  return kSharedWindow + block.cluster_rank * kSharedSlot;
}

/// The space that a generic address lies in; kGlobal for all that is in no window.
inline ptx::Space space_of(std::uint64_t address) {
  switch ((address - kAddressBase) >> 40) {
    case 2:
      return ptx::Space::kShared;
    case 3:
      return ptx::Space::kLocal;
    case 4:
      return ptx::Space::kParam;
    default:
      return ptx::Space::kGlobal;
  }
}

}  // namespace gpusim::execute
