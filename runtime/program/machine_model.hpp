// What times are predicted with: how fast a device computes and moves memory, and what exchanging
// over a link takes. Only figures that were measured or named; what is unknown stays so.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace ingot {

/// An exchange of R ranks in a ring takes call + steps x latency + (bytes that a rank sends) /
/// bandwidth, with R - 1 steps for a pass and two passes for an all_reduce. Source: Thakur,
/// Rabenseifner and Gropp, "Optimization of Collective Communication Operations in MPICH", 2005;
/// the constant per call is that of NCCL's own model (src/graph/tuning.cc: baseLatencies).
struct LinkModel {
  double call = 0;       ///< seconds of starting an exchange
  double latency = 0;    ///< seconds of a step
  double bandwidth = 0;  ///< bytes per second in one direction

  friend bool operator==(const LinkModel&, const LinkModel&) = default;
};

struct MachineModel {
  double matrix_flops = 0;           ///< FLOP/s of matrix products in the run's type; 0: unknown
  double memory_bandwidth = 0;       ///< bytes read and written per second; 0: unknown
  std::optional<LinkModel> link;     ///< of each rank, inside of a node
  std::optional<LinkModel> network;  ///< of each node, which its ranks share
};

/// A link as users name it: a preset ("nvlink4"), several of them side by side ("8xndr"), or
/// "LATENCY,BANDWIDTH" ("2us,450GB/s", "50us,2Gbit/s"). Bandwidths of presets are the vendors', in
/// one direction; latencies are those of NCCL's model for rings and short messages. Throws
/// Error(kUsage) that begins with `option`.
LinkModel link_named(const std::string& option, const std::string& text);

/// "nvlink3, nvlink4, ...", for help texts.
std::string link_presets();

/// "3.35TB/s", "2Gbit/s" in bytes per second, at least 1; throws as link_named.
double rate_named(const std::string& option, const std::string& text);

/// What one all_reduce of so many bytes took.
struct MeasuredExchange {
  std::int64_t bytes = 0;
  double seconds = 0;
};

/// The link with which the model gives the times of the shortest and of the longest of the
/// all_reduces that `ranks` ranks were measured with; its latency holds the constant of a call too.
/// Nothing where they do not tell: fewer than two sizes, or a longer one that took no longer.
std::optional<LinkModel> fit_link(std::span<const MeasuredExchange> measured, std::int64_t ranks);

}  // namespace ingot
