// One collective as its algorithm sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "collectives/communicator.hpp"
#include "collectives/mpi/group.hpp"

namespace ingot::mpi {

enum class Kind : std::uint8_t {
  kAllReduce,
  kReduceScatter,
  kAllGather,
  kAllToAll,
  kBroadcast,
  kBarrier
};

/// Arguments as in Communicator; in-place operations have their data in `to`.
struct Exchange {
  const Group* group = nullptr;
  Kind kind = Kind::kBarrier;
  std::uint64_t sequence = 0;  ///< counts the collectives of the group, equal on all ranks
  CollectiveLabel label = {};
  void* to = nullptr;
  const void* from = nullptr;
  std::int64_t count = 0;
  DType type = DType::kU8;
  ReduceOperation operation = ReduceOperation::kSum;
  int root = 0;

  std::int64_t bytes() const { return count * size_of(type); }
  Peer peer(std::int64_t group_rank) const { return group->peer(group_rank, sequence); }
};

/// Memory for what arrives and cannot be put in place; grows to its largest use and stays.
using Scratch = std::vector<std::byte>;

inline std::byte* offset(void* data, std::int64_t bytes) {
  return static_cast<std::byte*>(data) + bytes;
}
inline const std::byte* offset(const void* data, std::int64_t bytes) {
  return static_cast<const std::byte*>(data) + bytes;
}

}  // namespace ingot::mpi
