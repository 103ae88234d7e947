// Ends a device's context. A sticky error stays: as on hardware only a new process ends it.
#include "cudart/reset.hpp"

#include "cudart/load.hpp"
#include "cudart/pool.hpp"
#include "cudart/registry.hpp"
#include "memory/peer_access.hpp"

namespace gpusim::cudart {

void reset(Device& device) {
  if (!device.used) return;
  wait_for(device);
  Runtime& runtime = Runtime::instance();
  {
    std::lock_guard lock(runtime.mutex);
    for (auto it = runtime.streams.begin(); it != runtime.streams.end();) {
      if (&it->second->device() == &device) {
        runtime.retire(*it->second);
        it = runtime.streams.erase(it);
      } else {
        ++it;
      }
    }
    for (int peer : device.peers) set_peer_access(device.physical, peer, false);
    device.peers.clear();
    device.limits.clear();
    device.flags = 0;
  }
  Registry::instance().unload_from(device.physical);
  AddressSpace& space = AddressSpace::instance();
  for (Allocation* block : space.live()) {
    if (block->internal || block->device != device.physical) continue;
    StreamOrder::instance().forget(block->begin, block->bytes);
    space.release(*block);
  }
}

}  // namespace gpusim::cudart
