// Which ranks exchange, and the tags that keep their messages apart from others'.
#pragma once

#include <cstdint>
#include <vector>

#include "collectives/mpi/message_queue.hpp"

namespace ingot::mpi {

/// The ranks of one communicator. No MPI communicator belongs to it: all messages travel on
/// MPI_COMM_WORLD, and the tag holds the group's context and the collective's sequence number. So
/// collectives that lie on different streams may start in another order on each rank.
struct Group {
  std::vector<int> world_ranks;  ///< by rank in the group
  int rank = 0;                  ///< this process's place in world_ranks
  int context = 0;               ///< unlike that of every other group of any of these ranks

  /// Sequence numbers in a tag wrap around: messages of one tag keep their order.
  static constexpr std::uint64_t kSequences = 4096;

  int size() const { return static_cast<int>(world_ranks.size()); }
  /// A rank of the group, any integer taken modulo its size, in collective `sequence`.
  Peer peer(std::int64_t group_rank, std::uint64_t sequence) const {
    const std::int64_t ranks = size();
    const auto index = static_cast<std::size_t>(((group_rank % ranks) + ranks) % ranks);
    return {world_ranks[index],
            context * static_cast<int>(kSequences) + static_cast<int>(sequence % kSequences)};
  }
};

}  // namespace ingot::mpi
