// Which device may touch memory of which other one, as cudaDeviceEnablePeerAccess said. Kernels
// ask for every block that does not lie on their own device.
#pragma once

#include "memory/address_space.hpp"

namespace gpusim {

/// Device numbers of the machine. The direction matters.
void set_peer_access(int device, int owner, bool enabled);
bool peer_access(int device, int owner);
/// Whether the machine's links allow it at all.
bool peer_access_possible(int device, int owner);

/// Memory of the host is open to all; memory of another device where access was enabled.
inline bool may_access(int device, const Allocation& block) {
  if (block.device == device) return true;
  if (block.kind != MemoryKind::kDevice && block.kind != MemoryKind::kPeer) return true;
  return peer_access(device, block.device);
}

}  // namespace gpusim
