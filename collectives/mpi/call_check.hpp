// Comparing calls over the control path, whatever transport the communicator itself uses.
#pragma once

#include <memory>

#include "collectives/check.hpp"
#include "collectives/mpi/mpi_session.hpp"

namespace ingot {

/// The check of a communicator of all ranks; collective and blocking. The session outlives it.
std::unique_ptr<CallCheck> create_call_check(MpiSession& session);

}  // namespace ingot
