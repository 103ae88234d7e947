// Up to what sizes collectives between the GPUs of a node go directly instead of by NCCL, and
// one-shot instead of two-shot: where `ingot bench collectives` found the one to become slower than
// the other. What was not measured keeps its default.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collectives/algorithms/by_size.hpp"
#include "runtime/metrics/tuning.hpp"

namespace ingot {

struct Crossovers {
  SizeLimits direct;
  std::int64_t one_shot_bytes = -1;  ///< -1: the default of DirectOptions

  friend bool operator==(const Crossovers&, const Crossovers&) = default;
};

/// Of the figures of the transports "nccl", "one_shot" and "two_shot" in f32 among this many ranks
/// of one node.
Crossovers crossovers_of(const std::vector<CollectiveFigure>& figures, int ranks);

/// Those of the machine with this key in the tuning file of a configuration. A damaged default file
/// counts as none: it is a cache; one that the configuration names is an Error(kConfiguration).
Crossovers measured_crossovers(const Config& config, const MachineFigures& machine, int ranks);

/// "512 KiB of an all_reduce, ...": for people, and where the order of sums changes.
std::string text_of(const SizeLimits& limits);
/// As one line for other ranks, and back.
std::string text_of(const Crossovers& crossovers);
Crossovers crossovers_from(const std::string& text);

}  // namespace ingot
