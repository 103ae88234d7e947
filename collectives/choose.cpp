#include "collectives/choose.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "collectives/algorithms/hierarchical.hpp"
#include "collectives/cuda_collectives.hpp"
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

/// The ranks by NCCL.
std::unique_ptr<Communicator> join_gpus(MpiSession& session, Device& device,
                                        const CommunicatorOptions& options) {
  NcclOptions nccl;
  nccl.rank = session.rank();
  nccl.size = session.size();
  nccl.device = &device;
  for (const std::string& host : session.control().all_gather_bytes(session.hostname())) {
    nccl.names.push_back(fmt::format("rank {} ({})", nccl.names.size(), host));
  }
  nccl.all_gather = [&session](const std::string& mine) {
    return session.control().all_gather_bytes(mine);
  };
  nccl.timeout = options.timeout;
  nccl.log = options.log;
  nccl.failed = options.failed;
  nccl.abort = [&session](int exit_code) { session.abort(exit_code); };
  return load_cuda_collectives().create_nccl(std::move(nccl));
}

bool is_direct(std::string_view transport) {
  return transport == "direct" || transport == "one_shot" || transport == "two_shot";
}

/// The ranks of the one node by direct loads and stores, or why not.
DirectResult join_directly(MpiSession& session, Device& device,
                           const CommunicatorOptions& options) {
  DirectOptions direct;
  direct.rank = session.rank();
  direct.size = session.size();
  direct.device = &device;
  direct.all_gather = [&session](const std::string& mine) {
    return session.control().all_gather_bytes(mine);
  };
  direct.abort = [&session](int exit_code) { session.abort(exit_code); };
  direct.one_shot_bytes = options.one_shot_bytes;
  if (options.asked == "auto") direct.staging_bytes = staging_for(options.direct);
  if (is_direct(options.asked)) direct.name = options.asked;
  if (options.asked == "one_shot") direct.one_shot_bytes = std::numeric_limits<std::int64_t>::max();
  if (options.asked == "two_shot") direct.one_shot_bytes = 0;
  return load_cuda_collectives().create_direct(direct);
}

/// The ranks of the one node by NCCL, and directly where calls are small.
std::unique_ptr<Communicator> join_gpus_by_size(MpiSession& session, Device& device,
                                                const CommunicatorOptions& options) {
  BySizeOptions parts;
  parts.rank = session.rank();
  parts.size = session.size();
  parts.limits = options.direct;
  parts.log = options.log;
  parts.note = options.note;
  parts.large = [&] {
    CommunicatorOptions of_nccl = options;
    of_nccl.log = nullptr;
    return join_gpus(session, device, of_nccl);
  };
  parts.small = [&] {
    DirectResult result = join_directly(session, device, options);
    if (result.communicator) {
      if (options.on_direct) options.on_direct(options.direct);
    } else if (options.note) {
      options.note("no direct collectives: " + result.refusal);
    }
    return std::move(result.communicator);
  };
  return create_by_size_communicator(parts);
}

/// Whether GPUs that exchange by NCCL make small calls directly.
bool is_by_size(std::string_view asked, int nodes, int ranks, const SizeLimits& limits) {
  return asked == "auto" && nodes == 1 && ranks > 1 && staging_for(limits) > 0;
}

std::string version_text(int version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace

std::string nccl_version_text() {
  const int version = load_cuda_collectives().nccl_version();
  return version > 0 ? version_text(version) : "";
}

NcclState find_nccl(MpiSession& session, Device& device) {
  CudaCollectives& module = load_cuda_collectives();
  const int mine = module.nccl_version();
  // Version, host and GPU of each rank: "22803 node7 4c1f..."
  const std::vector<std::string> all = session.control().all_gather_bytes(
      fmt::format("{} {} {}", mine, session.hostname(), module.gpu_identity(device)));
  NcclState state;
  state.version = nccl_version_text();
  std::map<std::string, int> rank_of_gpu;
  for (int rank = 0; rank < session.size() && state.problem.empty(); ++rank) {
    const std::string& text = all[static_cast<std::size_t>(rank)];
    const int version = std::stoi(text);
    const auto [other, fresh] = rank_of_gpu.emplace(text.substr(text.find(' ')), rank);
    if (version == 0) {
      state.problem = fmt::format("rank {}'s CUDA module was built without NCCL", rank);
    } else if (const int first = std::stoi(all.front()); version != first) {
      state.problem = fmt::format("rank {} has NCCL {}, but rank 0 has {}", rank,
                                  version_text(version), version_text(first));
    } else if (!fresh) {
      state.problem = fmt::format("ranks {} and {} share a GPU", other->second, rank);
    }
  }
  return state;
}

std::string choose_transport(std::string_view asked, const Nodes& nodes, DeviceKind device,
                             const NcclState& nccl) {
  const bool on_gpus = device == DeviceKind::kCuda;
  const bool has_nccl = on_gpus && nccl.problem.empty() && !nccl.version.empty();
  if (asked == "auto") {
    if (has_nccl) return "nccl";
    if (on_gpus || (nodes.count() > 1 && nodes.most() == 1)) return "mpi";
    return nodes.count() == 1 ? "shm" : "hierarchical";
  }
  if (asked == "nccl" && !on_gpus) {
    fail(ExitCode::kConfiguration,
         "collectives.transport is nccl, which moves memory of GPUs, but this job computes on the "
         "CPU; take auto, or set device: cuda");
  }
  if (asked == "nccl" && !has_nccl) {
    fail(ExitCode::kEnvironment,
         "collectives.transport is nccl, but {}; take auto or mpi, which goes through the host's "
         "memory",
         nccl.problem.empty() ? "the CUDA module was built without NCCL" : nccl.problem);
  }
  if (asked == "shm" && nodes.count() > 1) {
    fail(ExitCode::kConfiguration,
         "collectives.transport is shm, which reaches the ranks of one node, but this job's lie on "
         "{} nodes; take auto or hierarchical, or start all ranks on one node",
         nodes.count());
  }
  if (asked == "hierarchical" && nodes.count() == 1) return "shm";
  if (asked == "hierarchical" && nodes.most() == 1) return "mpi";
  ensure(asked == "mpi" || asked == "shm" || asked == "hierarchical" || asked == "nccl" ||
             (is_direct(asked) && on_gpus && nodes.count() == 1),
         "a transport: auto, nccl, mpi, shm or hierarchical");
  return std::string(asked);
}

std::int64_t planned_memory_bytes(std::string_view asked, int nodes, int ranks,
                                  const SizeLimits& direct) {
  if (ranks > kMostDirectRanks || !is_by_size(asked, nodes, ranks, direct)) return 0;
  return direct_memory_bytes(ranks, staging_for(direct));
}

std::unique_ptr<Communicator> create_communicator(MpiSession& session, Device& device,
                                                  const CommunicatorOptions& options) {
  const Nodes& nodes = session.nodes();
  const NcclState nccl =
      device.kind() == DeviceKind::kCuda ? find_nccl(session, device) : NcclState{};
  const std::string transport = choose_transport(options.asked, nodes, device.kind(), nccl);
  if (transport == "nccl") {
    const bool by_size = is_by_size(options.asked, nodes.count(), session.size(), options.direct);
    return by_size ? join_gpus_by_size(session, device, options)
                   : join_gpus(session, device, options);
  }
  std::unique_ptr<Communicator> all;
  if (transport == "shm") {
    all = join_node(session, options.threads);
  } else if (is_direct(transport)) {
    DirectResult result = join_directly(session, device, options);
    if (!result.communicator) fail(ExitCode::kEnvironment, "{}", result.refusal);
    all = std::move(result.communicator);
  } else {
    all = create_mpi_communicator(session);
  }
  if (transport == "hierarchical") {
    std::unique_ptr<Communicator> inside = join_node(session, options.threads);
    std::unique_ptr<Communicator> rail = all->split(inside->rank(), 0);
    all = create_hierarchical_communicator(
        {std::move(all), std::move(inside), std::move(rail), nodes});
  }
  if (options.log != nullptr) all->watch(*options.log, "all");
  return all;
}

}  // namespace ingot
