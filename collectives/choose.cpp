#include "collectives/choose.hpp"

#include "collectives/algorithms/hierarchical.hpp"
#include "collectives/mpi/control_channel.hpp"
#include "collectives/mpi/mpi_communicator.hpp"
#include "collectives/shm/shm_communicator.hpp"
#include "ops/base/error.hpp"

namespace ingot {
namespace {

/// A communicator of the ranks of this node; made on all nodes at once.
std::unique_ptr<Communicator> join_node(MpiSession& session, int threads) {
  const Nodes& nodes = session.nodes();
  const int first = nodes.first_rank(nodes.index);
  const auto of_node = [first, &nodes](const std::vector<std::string>& all) {
    return std::vector<std::string>(all.begin() + first, all.begin() + first + nodes.here());
  };
  ShmOptions options;
  options.rank = session.rank() - first;
  options.size = nodes.here();
  options.all_gather = [&](const std::string& mine) {
    return of_node(session.control().all_gather_bytes(mine));
  };
  for (int rank = first; rank < first + nodes.here(); ++rank) {
    options.names.push_back(fmt::format("rank {}", rank));
  }
  // Several nodes of a test share this machine's cores.
  options.threads = (threads * session.local_size() + nodes.here() - 1) / nodes.here();
  options.abort = [&session](int exit_code) { session.abort(exit_code); };
  return create_shm_communicator(options);
}

}  // namespace

std::string choose_transport(std::string_view asked, const Nodes& nodes, DeviceKind device) {
  if (asked == "auto") {
    if (device == DeviceKind::kCuda || (nodes.count() > 1 && nodes.most() == 1)) return "mpi";
    return nodes.count() == 1 ? "shm" : "hierarchical";
  }
  if (asked == "shm" && nodes.count() > 1) {
    fail(ExitCode::kConfiguration,
         "collectives.transport is shm, which reaches the ranks of one node, but this job's lie on "
         "{} nodes; take auto or hierarchical, or start all ranks on one node",
         nodes.count());
  }
  if (asked == "hierarchical" && nodes.count() == 1) return "shm";
  if (asked == "hierarchical" && nodes.most() == 1) return "mpi";
  ensure(asked == "mpi" || asked == "shm" || asked == "hierarchical",
         "a transport: auto, mpi, shm or hierarchical");
  return std::string(asked);
}

std::unique_ptr<Communicator> create_communicator(MpiSession& session, std::string_view asked,
                                                  DeviceKind device, int threads) {
  const Nodes& nodes = session.nodes();
  const std::string transport = choose_transport(asked, nodes, device);
  if (transport == "shm") return join_node(session, threads);
  std::unique_ptr<Communicator> all = create_mpi_communicator(session);
  if (transport == "mpi") return all;
  std::unique_ptr<Communicator> inside = join_node(session, threads);
  std::unique_ptr<Communicator> rail = all->split(inside->rank(), 0);
  return create_hierarchical_communicator(
      {std::move(all), std::move(inside), std::move(rail), nodes});
}

}  // namespace ingot
