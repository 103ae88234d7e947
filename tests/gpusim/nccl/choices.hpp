// What the real library would tell of its choices: rings and trees over the ranks, and by call the
// algorithm and protocol. They come from a simple rule and the variables NCCL_ALGO and NCCL_PROTO;
// the simulator itself sends every part straight to the rank that needs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "nccl/operation.hpp"

namespace gpusim::nccl {

/// The rank's place, rings and trees, and how it reaches its neighbours. `hosts`: by rank, equal
/// for those of one machine.
void log_rings_and_trees(int rank, int device, const std::vector<std::uint64_t>& hosts);

/// "RING", "TREE": of a collective of so many bytes.
std::string algorithm_of(Kind kind, std::size_t bytes, bool several_nodes);
/// "LL", "LL128", "SIMPLE".
std::string protocol_of(std::size_t bytes);

/// One line for a collective that ranks have called.
void log_choice(const Call& call, const CommunicatorState& state);

}  // namespace gpusim::nccl
