// Memory that ranks share with each other: which buffers, where in this process those of peers are
// mapped, and the translation of an address into something that a peer can find.
#pragma once

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <vector>

#include "collectives/shm/mapping.hpp"
#include "collectives/shm/mesh.hpp"
#include "ops/device/device.hpp"

namespace ingot::shm {

/// An address in shared memory, as it is told to peers.
struct Place {
  std::uint32_t region = 0;  ///< 0: in none
  std::uint64_t offset = 0;
};

class Regions {
 public:
  /// Of the ranks `members` of the mesh. Places in regions of `parent`, which a larger group shared
  /// earlier, are found too; null for none.
  Regions(std::shared_ptr<Mesh> mesh, std::vector<int> members, std::shared_ptr<Regions> parent);

  /// Collective and blocking. A buffer that has no descriptor is not seen by peers.
  void share(const Buffer& buffer);
  void unshare(const Buffer& buffer);

  /// Where [data, data + bytes) lies for peers.
  Place find(const void* data, std::int64_t bytes) const;
  /// The address here of `bytes` bytes of rank `mesh_rank`; throws Error(kInternal) where that rank
  /// has not shared them.
  std::byte* resolve(int mesh_rank, Place place, std::int64_t bytes) const;

 private:
  /// A peer's buffer in this process.
  struct Window {
    Mapping mapping = {};  ///< empty where the peer is in the same process
    std::byte* data = nullptr;
    std::int64_t bytes = 0;
  };
  struct Region {
    bool used = false;
    std::vector<Window> windows;  ///< by rank of the mesh; the own one is the buffer
  };
  Window open(int mesh_rank, const Message& message) const;
  const Window& own(const Region& region) const;

  std::shared_ptr<Mesh> mesh_;
  std::vector<int> members_;
  std::shared_ptr<Regions> parent_;
  std::uint32_t depth_ = 0;  ///< number of ancestors
  mutable std::shared_mutex mutex_;
  std::vector<Region> regions_;  ///< guarded by mutex_; equally many on all members
};

}  // namespace ingot::shm
