// The communicator that moves memory by MPI, which sees the host's only. Memory of a GPU is copied
// to pinned host memory, exchanged from there and copied back, all in the stream's order and so
// that it can be recorded; the way for machines without NCCL.
#pragma once

#include <memory>

#include "collectives/communicator.hpp"
#include "collectives/mpi/mpi_session.hpp"

namespace ingot {

/// A communicator of all ranks; collective and blocking. It must be destroyed before the session,
/// after the streams that its calls were enqueued on have been synchronized, and after recordings
/// of its calls.
std::unique_ptr<Communicator> create_mpi_communicator(MpiSession& session);

}  // namespace ingot
