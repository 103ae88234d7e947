// Which sample comes when. Everything here is a pure function of (seed, sample number), so that any
// rank knows every sample of the run without state, and a resumed run goes on where it stopped. The
// version below is part of a checkpoint: another order of samples is another version.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "collectives/algorithms/micro_assignment.hpp"
#include "ops/base/philox.hpp"

namespace ingot {

/// Version of all rules in this file.
constexpr std::int64_t kSamplerVersion = 1;

/// Position of `index` in a pseudo-random permutation of [0, count), chosen by (seed, purpose,
/// stream, epoch); index < count <= 2^62. A balanced Feistel network on Philox over the next power
/// of four with cycle walking (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002).
/// `stream` is below 2^16.
std::int64_t permute(std::int64_t index, std::int64_t count, std::uint64_t seed,
                     RandomPurpose purpose, std::int64_t epoch, std::int64_t stream = 0);

/// Distributes samples 0, 1, 2, ... over sets so that after any number n of samples every set has
/// had its share of n, up to less than one sample per set.
class Mixture {
 public:
  /// Weights are positive and finite; they are rounded to multiples of 2^-32 of their sum.
  explicit Mixture(std::span<const double> weights);

  struct Choice {
    std::int64_t set = 0;
    std::int64_t index = 0;  ///< how many samples before this one went to the same set
  };
  Choice at(std::int64_t sample) const;

 private:
  // Set k takes shares_[k] / 2^32 of what sets 0 ... k-1 left over; the last set takes the rest.
  std::vector<std::uint64_t> shares_;
};

/// Where a sample lies: set, epoch of that set, and number inside that epoch's order.
struct SampleAddress {
  std::int64_t set = 0;
  std::int64_t epoch = 0;
  std::int64_t index = 0;  ///< in [0, samples of the set)
};

enum class SampleOrder : std::uint8_t {
  kShuffled,   ///< every epoch of a set is a fresh permutation; goes on forever
  kSequential  ///< set by set in the files' order, once: evaluation
};

class Sampler {
 public:
  /// `counts`: samples that each set holds per epoch, all positive.
  Sampler(std::vector<std::int64_t> counts, std::span<const double> weights, std::uint64_t seed,
          SampleOrder order);

  /// All samples of all sets once.
  std::int64_t samples_per_epoch() const { return total_; }
  /// Whether there is such a sample: always when shuffled.
  bool exists(std::int64_t sample) const {
    return order_ == SampleOrder::kShuffled || sample < total_;
  }
  SampleAddress at(std::int64_t sample) const;

 private:
  std::vector<std::int64_t> counts_;
  Mixture mixture_;
  std::uint64_t seed_;
  SampleOrder order_;
  std::int64_t total_ = 0;
};

/// Which samples a rank's micro batches hold: of every step's ranks x accumulation micro batches, a
/// rank takes `accumulation`, by `order`.
struct SampleAssignment {
  std::int64_t rank = 0;
  std::int64_t ranks = 1;
  std::int64_t micro = 1;         ///< samples per micro batch
  std::int64_t accumulation = 1;  ///< micro batches per rank and step
  MicroAssignment order = MicroAssignment::kConsecutive;

  std::int64_t samples_per_step() const { return ranks * accumulation * micro; }
  /// First sample of micro batch `part` (0 ... accumulation - 1) of a step counted from 0.
  std::int64_t first_sample(std::int64_t step, std::int64_t part) const {
    const std::int64_t in_step =
        order == MicroAssignment::kStrided ? part * ranks + rank : rank * accumulation + part;
    return (step * ranks * accumulation + in_step) * micro;
  }
};

}  // namespace ingot
