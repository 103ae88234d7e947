// The communicator that moves host memory by MPI.
#pragma once

#include <memory>

#include "collectives/communicator.hpp"
#include "collectives/mpi/mpi_session.hpp"

namespace ingot {

/// A communicator of all ranks; collective and blocking. It must be destroyed before the session,
/// after the streams that its calls were enqueued on have been synchronized. Its streams run host
/// functions: they are the CPU device's.
std::unique_ptr<Communicator> create_mpi_communicator(MpiSession& session);

}  // namespace ingot
