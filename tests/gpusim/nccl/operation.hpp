// One call of a collective or of send and receive, from its arguments to its work in a stream.
#pragma once

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "nccl/communicator.hpp"

namespace gpusim::nccl {

enum class Kind : std::uint8_t {
  kAllReduce,
  kReduce,
  kReduceScatter,
  kAllGather,
  kBroadcast,
  kAllToAll,
  kGather,
  kScatter,
  kSend,
  kReceive
};
const char* name_of(Kind kind);  ///< "ncclAllReduce"

struct Call {
  Kind kind = Kind::kAllReduce;
  const void* from = nullptr;
  void* to = nullptr;
  std::size_t count = 0;  ///< elements, as the function of NCCL counts them
  ncclDataType_t type = ncclInt8;
  Reduction reduction = {};
  int root = 0;  ///< or the peer of send and receive
  cudaStream_t stream = nullptr;
  std::uint64_t number = 0;  ///< among the collectives, or what this pair of ranks sends this way
  std::uint64_t index = 0;   ///< among all calls of the communicator, for injected faults

  std::size_t bytes() const { return count * size_of(type); }
  bool point_to_point() const { return kind == Kind::kSend || kind == Kind::kReceive; }
};

/// Checks arguments as the library does; null, or what is wrong. `communicator` is one.
std::string problem_with(const Call& call, const ncclComm& communicator);

/// Numbers calls of one communicator that belong to one group (or a single one) and puts them into
/// their streams as one piece of work.
ncclResult_t enqueue(ncclComm& communicator, std::vector<Call> calls);

}  // namespace gpusim::nccl
