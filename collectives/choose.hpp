// Which transport a job's ranks exchange through: asked for by the configuration, or the fastest
// that reaches all of them.
//
//   auto           one node: shm; several nodes: hierarchical, or mpi where each has one rank;
//                  for GPUs: mpi
//   shm            the ranks of one node read each other's memory; refused across nodes
//   hierarchical   shm inside of nodes and mpi between them; on one node the same as shm
//   mpi            everything by MPI
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "collectives/communicator.hpp"
#include "collectives/mpi/mpi_session.hpp"
#include "collectives/nodes.hpp"

namespace ingot {

/// What "auto" comes to, or `asked` itself. Throws Error(kConfiguration) where the transport does
/// not reach all ranks.
std::string choose_transport(std::string_view asked, const Nodes& nodes, DeviceKind device);

/// A communicator of all ranks by the transport that `asked` and the job's nodes lead to, for
/// streams of such a device. `threads` of each rank want a core. Collective and blocking; it must
/// be destroyed before the session.
std::unique_ptr<Communicator> create_communicator(MpiSession& session, std::string_view asked,
                                                  DeviceKind device, int threads = 1);

}  // namespace ingot
