// The communicator of GPUs of one node that sends small calls to a transport of low latency and the
// others to one of high bandwidth: direct loads and stores (algorithms/direct) and NCCL.
//
// All ranks send a call the same way, since they decide by what is equal on all: the kind of the
// call, its bytes, and the order of calls before it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "collectives/algorithms/direct/direct.hpp"
#include "collectives/communicator.hpp"

namespace ingot {

/// Most bytes of a call for the transport of low latency: of the data of an all_reduce, and of all
/// ranks' blocks together otherwise. 0: none. The defaults hold where nothing was measured: around
/// half a MiB the bandwidth of the links begins to count, of which NCCL makes more.
struct SizeLimits {
  std::int64_t all_reduce = 512 << 10;
  std::int64_t reduce_scatter = 512 << 10;  ///< also of an all_to_all
  std::int64_t all_gather = 512 << 10;      ///< also of a broadcast

  friend bool operator==(const SizeLimits&, const SizeLimits&) = default;
};

struct BySizeOptions {
  int rank = 0;
  int size = 1;
  SizeLimits limits;
  /// Make the two, while the ranks are watched for being late; collective. `small` may give null,
  /// on all ranks: everything then is for `large`.
  std::function<std::unique_ptr<Communicator>()> large;
  std::function<std::unique_ptr<DirectCommunicator>()> small;
  FlightLog* log = nullptr;  ///< where the calls are watched as "all"; null: nowhere
  /// Is told once when small calls are left to `large` for want of room for another recording.
  std::function<void(const std::string&)> note = {};
};

/// Collective and blocking.
std::unique_ptr<Communicator> create_by_size_communicator(const BySizeOptions& options);

/// Bytes that a call may stage where calls up to these limits are direct (DirectOptions).
std::int64_t staging_for(const SizeLimits& limits);

/// Whether the limits leave a call among `ranks` ranks to the transport of low latency.
bool small_enough(const CollectiveCall& call, int ranks, const SizeLimits& limits);

}  // namespace ingot
