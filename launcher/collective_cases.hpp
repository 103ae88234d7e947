// What `ingot bench collectives` measures: operations and sizes, what a size and a bus bandwidth
// are (as nccl-tests' doc/PERFORMANCE.md defines them), and inputs whose results are known exactly.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectives/communicator.hpp"
#include "runtime/execute/host_transfer.hpp"

namespace ingot {

/// One operation at one size.
struct CollectiveCase {
  CollectiveKind kind = CollectiveKind::kAllReduce;
  DType type = DType::kF32;
  std::int64_t count = 0;  ///< as the call takes it, in elements
  int ranks = 1;

  /// Of the larger of the two buffers of a rank: S of nccl-tests.
  std::int64_t bytes() const;
  std::int64_t to_bytes() const;
  std::int64_t from_bytes() const;  ///< 0 in place
};

/// The largest case of at most `bytes`, but of at least one element per rank.
CollectiveCase case_of(CollectiveKind kind, DType type, std::int64_t bytes, int ranks);

/// Bus bandwidth over algorithm bandwidth, which is bytes() / time: 2 (n-1)/n for an all_reduce,
/// 1 for a broadcast, (n-1)/n for the others.
double bus_factor(CollectiveKind kind, int ranks);

/// Operations that can be measured, in the order of the table.
std::span<const CollectiveKind> measured_kinds();
/// The kind of this name; throws Error(kUsage) with the nearest one.
CollectiveKind kind_named(std::string_view name);

/// Puts the call on the stream; broadcasts come from rank 0.
void enqueue_case(const CollectiveCase& use, void* to, const void* from, Communicator& communicator,
                  Stream& stream);

/// Writes inputs of small whole numbers, so that sums are exact in any order and type, and into
/// what is only output a pattern that no result has.
void write_inputs(const CollectiveCase& use, int rank, void* to, void* from,
                  HostTransfer& transfer);
/// Elements of the output that are not what the operation should have made of write_inputs().
std::int64_t count_errors(const CollectiveCase& use, int rank, const void* to,
                          HostTransfer& transfer);

}  // namespace ingot
