// What a call does when its stream has come to it: the exchange itself, on the stream's thread.
#pragma once

#include <cstdint>
#include <vector>

#include "nccl/operation.hpp"

namespace gpusim::nccl {

/// Carries out calls that form a group; `run` counts the runs of a captured one. Blocks until the
/// peers have done their part. True where all is complete; false where the communicator was aborted
/// meanwhile, which is what it then waits for when a peer is lost or calls something else.
///
/// Every rank sends every other one message in each collective, empty ones too, so that all ranks
/// compare what they were called for. Send completes when the peer has received, as with the real
/// library's large messages: what relies on buffering hangs here too.
bool perform(CommunicatorState& state, const std::vector<Call>& calls, std::uint64_t run);

}  // namespace gpusim::nccl
