// Which transport a job's ranks exchange through: asked for by the configuration, or the fastest
// that reaches all of them.
//
//   auto           one node: shm; several nodes: hierarchical, or mpi where each has one rank;
//                  for GPUs: nccl where it can be had, otherwise mpi. Beside nccl on one node,
//                  small calls are direct where GPUs reach each other's memory (by_size.hpp)
//   nccl           GPUs by NCCL alone; wants a GPU for each rank
//   direct         the GPUs of one node by direct loads and stores alone, for tests and benchmarks;
//                  one_shot, two_shot: every all_reduce that way
//   shm            the ranks of one node read each other's memory; refused across nodes
//   hierarchical   shm inside of nodes and mpi between them; on one node the same as shm
//   mpi            everything by MPI
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "collectives/algorithms/by_size.hpp"
#include "collectives/communicator.hpp"
#include "collectives/mpi/mpi_session.hpp"
#include "collectives/nodes.hpp"
#include "ops/base/error.hpp"

namespace ingot {

/// Whether the ranks of a job can exchange by NCCL.
struct NcclState {
  std::string version;  ///< "2.28.3"; empty where the CUDA module is built without NCCL
  std::string problem;  ///< why it cannot be had; empty where it can
};

/// Of the CUDA module that is in use; empty where it is built without NCCL.
std::string nccl_version_text();

/// What all ranks' GPUs and CUDA modules come to. Collective.
NcclState find_nccl(MpiSession& session, Device& device);

/// What "auto" comes to, or `asked` itself. Throws Error(kConfiguration) where the transport does
/// not reach all ranks, Error(kEnvironment) where NCCL is asked for and cannot be had. `nccl` is
/// looked at for GPUs alone.
std::string choose_transport(std::string_view asked, const Nodes& nodes, DeviceKind device,
                             const NcclState& nccl = {});

struct CommunicatorOptions {
  std::string asked = "auto";  ///< collectives.transport
  int threads = 1;             ///< of each rank, that want a core
  /// Seconds that connecting the ranks may take; 0: for ever.
  double timeout = 0;
  /// Where the communicator's calls are watched as "all", from before ranks wait for each other.
  FlightLog* log = nullptr;
  /// Up to where small calls of GPUs are direct, and one-shot (DirectOptions); from the tuning
  /// file.
  SizeLimits direct = {};
  std::int64_t one_shot_bytes = -1;
  /// Is told up to what sizes calls of GPUs are direct, where they are.
  std::function<void(const SizeLimits&)> on_direct = {};
  /// Is told what the job does without: "no direct collectives: ...".
  std::function<void(const std::string&)> note = {};
  /// Told when the transport hears of an error in the background; see NcclOptions.
  std::function<void(const Error&)> failed = {};
};

/// Bytes of each GPU that the communicator of such a job over NCCL keeps for itself
/// (Communicator::memory_bytes), provided that GPUs of a node reach each other's memory.
std::int64_t planned_memory_bytes(std::string_view asked, int nodes, int ranks,
                                  const SizeLimits& direct);

/// A communicator of all ranks, for streams of this device, by the transport that `asked` and the
/// job's nodes lead to. Collective and blocking; it must be destroyed before the session.
std::unique_ptr<Communicator> create_communicator(MpiSession& session, Device& device,
                                                  const CommunicatorOptions& options);

}  // namespace ingot
