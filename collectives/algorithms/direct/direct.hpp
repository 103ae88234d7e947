// The communicator of the GPUs of one node that exchange small messages by loads and stores to each
// other's memory, without CUDA's headers; it is part of the CUDA module
// (collectives/cuda_collectives.hpp). README.md here tells how.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"

namespace ingot {

/// Ranks of one node that direct collectives join at most.
constexpr int kMostDirectRanks = 8;
/// Recorded programs (CUDA graphs) that may make calls of one communicator. Ordered sums of 128
/// micro-batches, which have most programs, come to 31.
constexpr int kDirectRecordings = 31;
/// Of a lane's flags and state.
constexpr std::int64_t kDirectControlBytes = 2304;
/// Bytes that one launch stages in each rank's memory, at most.
constexpr std::int64_t kDirectStaging = 512 << 10;

struct DirectOptions {
  int rank = 0;
  int size = 1;
  Device* device = nullptr;  ///< the rank's own GPU; outlives the communicator
  /// Every rank's text, by rank; blocking and collective. Carries the handles of memory, also of
  /// parts that are split off, and is called when the communicator is destroyed.
  std::function<std::vector<std::string>(const std::string&)> all_gather;
  std::function<void(int exit_code)> abort;  ///< see Communicator::abort()
  /// Bytes up to which an all_reduce is one-shot, above it is two-shot. Negative: what suits this
  /// many ranks, see default_one_shot_bytes().
  std::int64_t one_shot_bytes = -1;
  /// Bytes that one launch stages in each rank's memory; longer calls take several launches.
  std::int64_t staging_bytes = kDirectStaging;
  /// Blocks of a launch at most. 0: so few that the kernels of several communicators, whose blocks
  /// wait for each other, fit the smallest of the ranks' GPUs at once.
  int most_blocks = 0;
  std::string name = "direct";  ///< what transport() says
};

/// Bytes of an all_reduce up to which one-shot is taken to be faster where nothing was measured.
std::int64_t default_one_shot_bytes(int ranks);

/// Bytes of each GPU that a communicator of so many ranks takes; 0 for one rank.
std::int64_t direct_memory_bytes(int ranks, std::int64_t staging_bytes);

class DirectCommunicator : public Communicator {
 public:
  enum class Fit : std::uint8_t {
    kFits,
    kTooLong,           ///< for a single launch
    kTooManyRecordings  ///< what is being recorded is beyond kDirectRecordings
  };
  /// Whether the call can be made in a single launch: all ranks come to the same answer, provided
  /// that they make the same calls in the same order.
  virtual Fit fit(const CollectiveCall& call, Stream& stream) = 0;
};

/// What comes of the attempt to join ranks: a communicator, or why there is none.
struct DirectResult {
  std::unique_ptr<DirectCommunicator> communicator;
  std::string refusal;  ///< "rank 1 cannot reach the memory of rank 0's GPU (...)"
};

}  // namespace ingot
