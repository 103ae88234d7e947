// What the last bits of a run depend on beside its configuration and data: equal fingerprints,
// equal bits. It is saved in checkpoints and compared when a run goes on.
#pragma once

#include <string>

#include "runtime/checkpoint/rank_exchange.hpp"
#include "runtime/config/config.hpp"
#include "runtime/train/run_directory.hpp"

namespace ingot {

/// Of this rank. `algorithms`: which ones matrix products use, where they are chosen; or empty.
/// Under parallel.reduction: fast also the number of ranks and threads and the transport, which
/// decide the order of sums there.
std::string numerics_fingerprint(const Config& config, const Environment& environment,
                                 const std::string& algorithms);

/// Rank 0's, on every rank; collective. Under `ordered` all ranks must have the same, or bits would
/// depend on who computes what: Error(kEnvironment) names a rank that differs.
std::string agreed_fingerprint(const std::string& own, bool ordered, RankExchange& exchange);

}  // namespace ingot
