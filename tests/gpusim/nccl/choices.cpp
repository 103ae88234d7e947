#include "nccl/choices.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string_view>

#include "nccl/log.hpp"

namespace gpusim::nccl {

namespace {

constexpr int kChannels = 2;
constexpr std::size_t kTreeBytes = std::size_t{256} << 10;    ///< shorter ones between nodes: trees
constexpr std::size_t kLowLatency = std::size_t{16} << 10;    ///< up to here LL
constexpr std::size_t kLowLatency128 = std::size_t{1} << 20;  ///< up to here LL128

template <typename... Values>
std::string print(const char* format, Values... values) {
  std::array<char, 256> text{};
  std::snprintf(text.data(), text.size(), format, values...);
  return text.data();
}

/// Ranks by machine, machines in the order of their first ranks.
std::vector<std::vector<int>> by_node(const std::vector<std::uint64_t>& hosts) {
  std::vector<std::vector<int>> nodes;
  std::map<std::uint64_t, std::size_t> numbers;
  for (std::size_t rank = 0; rank < hosts.size(); ++rank) {
    const auto [found, added] = numbers.emplace(hosts[rank], nodes.size());
    if (added) nodes.emplace_back();
    nodes[found->second].push_back(static_cast<int>(rank));
  }
  return nodes;
}

struct TreePlace {
  std::array<int, 3> down = {-1, -1, -1};
  int up = -1;
};

/// A chain inside each node, whose first rank is one of a binary tree of the nodes; the second tree
/// has the nodes in reverse order.
TreePlace place_in_tree(const std::vector<std::vector<int>>& nodes, int rank, bool reversed) {
  TreePlace place;
  const auto count = nodes.size();
  const auto node = [&](std::size_t position) -> const std::vector<int>& {
    return nodes[reversed ? count - 1 - position : position];
  };
  for (std::size_t position = 0; position < count; ++position) {
    const std::vector<int>& ranks = node(position);
    const auto found = std::ranges::find(ranks, rank);
    if (found == ranks.end()) continue;
    std::size_t children = 0;
    if (found + 1 != ranks.end()) place.down[children++] = *(found + 1);
    if (found != ranks.begin()) {
      place.up = *(found - 1);
      continue;
    }
    if (position > 0) place.up = node((position - 1) / 2).front();
    for (const std::size_t below : {2 * position + 1, 2 * position + 2}) {
      if (below < count) place.down[children++] = node(below).front();
    }
  }
  return place;
}

/// The first word of a list such as "ring,tree" in capitals; empty where the variable is not set
/// or leaves out ("^tree") instead.
std::string wish(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  text = text.substr(0, text.find_first_of(",;"));
  text = text.substr(text.rfind(':') + 1);  // "allreduce:tree"
  if (text.starts_with('^')) return "";
  for (char& sign : text) sign = static_cast<char>(std::toupper(static_cast<unsigned char>(sign)));
  return text;
}

/// "AllReduce" of "ncclAllReduce".
std::string_view short_name(Kind kind) {
  return std::string_view(name_of(kind)).substr(4);
}

}  // namespace

void log_rings_and_trees(int rank, int device, const std::vector<std::uint64_t>& hosts) {
  if (!logs_info(Subsystem::kGraph) && !logs_info(Subsystem::kInit)) return;
  const auto info = [&](Subsystem subsystem, const std::string& text) {
    log_info(subsystem, device, text);
  };
  const auto nodes = by_node(hosts);
  std::vector<int> ring;
  for (const auto& node : nodes) ring.insert(ring.end(), node.begin(), node.end());
  const auto place = static_cast<std::size_t>(std::ranges::find(ring, rank) - ring.begin());
  const int before = ring[(place + ring.size() - 1) % ring.size()];
  const int after = ring[(place + 1) % ring.size()];
  if (rank == 0) {
    std::string order;
    for (const int member : ring) order += " " + std::to_string(member);
    for (int channel = 0; channel < kChannels; ++channel) {
      info(Subsystem::kInit, print("Channel %02d/%02d :", channel, kChannels) + order);
    }
  }
  std::string trees = "Trees";
  for (int channel = 0; channel < kChannels; ++channel) {
    info(Subsystem::kGraph, print("Ring %02d : %d -> %d -> %d", channel, before, rank, after));
    const TreePlace tree = place_in_tree(nodes, rank, channel % 2 == 1);
    trees += print(" [%d] %d/%d/%d->%d->%d", channel, tree.down[0], tree.down[1], tree.down[2],
                   rank, tree.up);
  }
  info(Subsystem::kInit, trees);
  if (ring.size() > 1) {
    const bool far =
        hosts[static_cast<std::size_t>(rank)] != hosts[static_cast<std::size_t>(after)];
    for (int channel = 0; channel < kChannels; ++channel) {
      info(Subsystem::kInit, print("Channel %02d/0 : %d[%d] -> %d %s", channel, rank, device, after,
                                   far ? "[send] via NET/Socket/0" : "via P2P/IPC"));
    }
  }
  info(Subsystem::kInit, "Connected all rings");
  info(Subsystem::kInit, "Connected all trees");
  info(Subsystem::kInit, print("%d coll channels, %d collnet channels, 0 nvls channels, %d p2p "
                               "channels, %d p2p channels per peer",
                               kChannels, 0, kChannels, 1));
}

std::string algorithm_of(Kind kind, std::size_t bytes, bool several_nodes) {
  if (kind != Kind::kAllReduce) return "RING";
  const std::string wanted = wish("NCCL_ALGO");
  if (!wanted.empty()) return wanted;
  return several_nodes && bytes <= kTreeBytes ? "TREE" : "RING";
}

std::string protocol_of(std::size_t bytes) {
  const std::string wanted = wish("NCCL_PROTO");
  if (!wanted.empty()) return wanted;
  return bytes <= kLowLatency ? "LL" : bytes <= kLowLatency128 ? "LL128" : "SIMPLE";
}

void log_choice(const Call& call, const CommunicatorState& state) {
  if (call.point_to_point() || state.ranks == 1 || !logs_info(Subsystem::kTuning)) return;
  const std::shared_ptr<Mesh> mesh = state.mesh();
  bool several_nodes = false;
  for (int peer = 0; peer < state.ranks; ++peer) several_nodes |= mesh->peer(peer).network;
  const std::string protocol = protocol_of(call.bytes());
  log_info(Subsystem::kTuning, state.device,
           std::string(short_name(call.kind)) + ": " + std::to_string(call.bytes()) +
               " Bytes -> Algo " + algorithm_of(call.kind, call.bytes(), several_nodes) +
               " proto " + protocol +
               print(" channel{Lo..Hi}={0..%d}", protocol == "LL" ? 0 : kChannels - 1));
}

}  // namespace gpusim::nccl
