// Collects traffic and graphs until the process ends.
#include "report/traffic.hpp"

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

namespace gpusim::report {
namespace {

struct Transfer {
  std::uint64_t bytes = 0, messages = 0;
};

struct GraphLaunches {
  int device = 0;
  GraphNodes nodes;  ///< of the last launch
  std::uint64_t launches = 0;
};

struct Collected {
  std::mutex mutex;
  std::map<std::tuple<int, int, bool>, Transfer> transfers;
  std::map<std::uint64_t, GraphLaunches> graphs;
  std::map<std::string, std::uint64_t> submitted;
  std::map<std::string, Transfer> memory;  ///< of NCCL, by what was done with it
};

Collected& collected() {
  static Collected* all = new Collected;
  return *all;
}

}  // namespace

void add_transfer(int from, int to, bool network, std::uint64_t bytes) {
  Collected& all = collected();
  const std::lock_guard lock(all.mutex);
  Transfer& transfer = all.transfers[{from, to, network}];
  transfer.bytes += bytes;
  ++transfer.messages;
}

void add_graph_launch(std::uint64_t graph, int device, const GraphNodes& nodes) {
  Collected& all = collected();
  const std::lock_guard lock(all.mutex);
  GraphLaunches& entry = all.graphs[graph];
  entry.device = device;
  entry.nodes = nodes;
  ++entry.launches;
}

void add_submission(const char* kind) {
  Collected& all = collected();
  const std::lock_guard lock(all.mutex);
  ++all.submitted[kind];
}

void add_library_memory(const char* what, std::uint64_t bytes) {
  Collected& all = collected();
  const std::lock_guard lock(all.mutex);
  Transfer& entry = all.memory[what];
  entry.bytes += bytes;
  ++entry.messages;
}

void write_traffic(nlohmann::ordered_json& document, const nlohmann::ordered_json& remote) {
  Collected& all = collected();
  const std::lock_guard lock(all.mutex);
  auto& links = document["links"] = remote;
  for (const auto& [link, transfer] : all.transfers) {
    const auto& [from, to, network] = link;
    links.push_back({{"by", "nccl"},
                     {"from", from},
                     {"to", to},
                     {"network", network},
                     {"bytes", transfer.bytes},
                     {"messages", transfer.messages}});
  }
  auto& graphs = document["graphs"] = nlohmann::ordered_json::array();
  for (const auto& [number, entry] : all.graphs) {
    const GraphNodes& n = entry.nodes;
    graphs.push_back({{"graph", number},
                      {"device", entry.device},
                      {"launches", entry.launches},
                      {"nodes", n.kernels + n.library + n.copies + n.fills + n.host + n.other},
                      {"kernels", n.kernels},
                      {"library", n.library},
                      {"copies", n.copies},
                      {"fills", n.fills},
                      {"host", n.host},
                      {"other", n.other},
                      {"edges", n.edges},
                      {"branches", n.branches}});
  }
  auto& submitted = document["submitted"] = nlohmann::ordered_json::object();
  for (const char* kind : {"kernel", "library", "copy", "fill", "host", "graph", "other"}) {
    submitted[kind] = all.submitted.contains(kind) ? all.submitted[kind] : 0;
  }
  auto& memory = document["nccl_memory"] = nlohmann::ordered_json::object();
  for (const char* what : {"allocated", "freed", "registered", "deregistered", "exports_refused"}) {
    const Transfer entry = all.memory.contains(what) ? all.memory[what] : Transfer{};
    memory[what] = {{"calls", entry.messages}, {"bytes", entry.bytes}};
  }
}

}  // namespace gpusim::report
