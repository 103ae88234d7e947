// One collective as its algorithm sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "collectives/communicator.hpp"
#include "collectives/mpi/group.hpp"

namespace ingot::mpi {

using Kind = CollectiveKind;

/// A call and the ranks that make it.
struct Exchange : CollectiveCall {
  const Group* group = nullptr;

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
