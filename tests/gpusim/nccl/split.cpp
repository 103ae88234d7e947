#include "nccl/split.hpp"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "nccl/bootstrap.hpp"

namespace gpusim::nccl {

namespace {

constexpr std::int32_t kSplit = 100;  ///< in Description::kind, beside the kinds of calls
constexpr std::int32_t kShrink = 101;

struct Wish {
  int color = 0;
  int key = 0;
};

}  // namespace

bool agree_on_split(Mesh& mesh, std::uint64_t number, int color, int key, SplitPlace& place,
                    std::string& why) {
  const Description description{.kind = kSplit};
  const auto message_key = [&](std::uint64_t part) { return MessageKey{2 * number, 0, part}; };
  const Wish mine{color, key};
  for (int peer = 0; peer < mesh.size(); ++peer) {
    if (!mesh.send(peer, message_key(0), description, &mine, sizeof mine)) return false;
  }
  std::vector<std::tuple<int, int>> members;  // key, rank: of those with the same color
  for (int peer = 0; peer < mesh.size(); ++peer) {
    const std::optional<Message> message = mesh.receive(peer, message_key(0));
    if (!message) return false;
    if (message->description != description || message->data.size() != sizeof(Wish)) {
      why = "rank " + std::to_string(peer) + " calls something else than ncclCommSplit";
      return false;
    }
    Wish wish;
    std::memcpy(&wish, message->data.data(), sizeof wish);
    if (wish.color == color) members.emplace_back(wish.key, peer);
  }
  if (color < 0) return true;
  std::ranges::sort(members);
  place.ranks = static_cast<int>(members.size());
  for (int i = 0; i < place.ranks; ++i) {
    if (std::get<1>(members[static_cast<std::size_t>(i)]) == mesh.rank()) place.rank = i;
  }
  if (place.rank == 0) {
    if (!make_unique_id(place.id, why)) return false;
    for (const auto& [unused, peer] : members) {
      if (!mesh.send(peer, message_key(1), description, &place.id, sizeof place.id)) return false;
    }
  }
  const std::optional<Message> id = mesh.receive(std::get<1>(members.front()), message_key(1));
  if (!id) return false;
  std::memcpy(&place.id, id->data.data(), std::min(id->data.size(), sizeof place.id));
  return true;
}

bool agree_on_rest(Mesh& mesh, std::uint64_t attempt, const std::vector<int>& excluded,
                   SplitPlace& place, std::string& why) {
  std::vector<int> left;
  Description description{.kind = kShrink};
  for (int rank = 0; rank < mesh.size(); ++rank) {
    const bool out = std::ranges::find(excluded, rank) != excluded.end();
    description.count = description.count * 3 + (out ? 2 : 1);
    if (!out) left.push_back(rank);
  }
  place.ranks = static_cast<int>(left.size());
  place.rank = static_cast<int>(std::ranges::find(left, mesh.rank()) - left.begin());
  // Not a number that collectives have: ranks may have stopped at different ones.
  const MessageKey key{~std::uint64_t{0}, attempt, 0};
  if (place.rank == 0) {
    if (!make_unique_id(place.id, why)) return false;
    for (const int peer : left) {
      if (!mesh.send(peer, key, description, &place.id, sizeof place.id)) {
        why = "cannot reach rank " + std::to_string(peer);
        return false;
      }
    }
  }
  const std::optional<Message> id = mesh.receive_anyway(left.front(), key);
  if (!id || id->data.size() != sizeof place.id) return false;
  if (id->description != description) {
    why = "ranks exclude different ones";
    return false;
  }
  std::memcpy(&place.id, id->data.data(), sizeof place.id);
  return true;
}

}  // namespace gpusim::nccl
