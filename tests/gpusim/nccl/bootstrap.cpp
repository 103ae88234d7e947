#include "nccl/bootstrap.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <set>
#include <thread>

namespace gpusim::nccl {

namespace {

constexpr std::uint64_t kMagic = 0x67707573696d6e63;

/// What a unique id holds.
struct Id {
  std::uint64_t magic = kMagic;
  std::uint64_t nonce = 0;
  Address root;
};
static_assert(sizeof(Id) <= sizeof(ncclUniqueId));

/// A rank's first words, to the root and to a peer.
struct Hello {
  std::uint64_t magic = kMagic;
  std::uint64_t nonce = 0;
  std::int32_t rank = 0;
  std::int32_t ranks = 0;
  std::int32_t device = 0;
  std::int32_t unused = 0;
  std::uint64_t host = 0;
  Address listener;
};

/// What the root tells everybody of a rank.
struct Entry {
  std::uint64_t host = 0;
  std::int32_t device = 0;
  std::int32_t unused = 0;
  Address listener;
};

enum class Answer : std::int32_t { kTable = 0, kOtherCount, kTwice, kSameDevice };

/// Equal in processes that see the same devices: of one host name and one network namespace, since
/// tests take namespaces for hosts.
std::uint64_t host_number() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  char space[64] = "";
  const ssize_t length = ::readlink("/proc/self/ns/net", space, sizeof space);
  return std::hash<std::string>()(std::string(name) + '/' +
                                  std::string(space, length > 0 ? std::size_t(length) : 0));
}

const char* text_of(Answer answer) {
  switch (answer) {
    case Answer::kOtherCount:
      return "other ranks of this unique id were told another number of ranks";
    case Answer::kTwice:
      return "another rank of this unique id has the same number";
    case Answer::kSameDevice:
      return "another rank of this communicator uses the same GPU";
    case Answer::kTable:
      return "";
  }
  return "";
}

/// Serves one communicator: collects a hello of each rank, then sends everybody the table.
void serve(const Socket& listener, std::uint64_t nonce) {
  const std::atomic<bool> never{false};
  std::vector<Socket> ranks;
  std::vector<Entry> table;
  std::set<std::pair<std::uint64_t, std::int32_t>> devices;
  std::size_t arrived = 0;
  while (ranks.empty() || arrived < ranks.size()) {
    std::optional<Socket> socket = accept(listener, never);
    Hello hello;
    if (!socket || !socket->receive(&hello, sizeof hello, never)) continue;
    if (hello.magic != kMagic || hello.nonce != nonce || hello.ranks < 1 || hello.rank < 0 ||
        hello.rank >= hello.ranks) {
      continue;  // not one of ours
    }
    if (ranks.empty()) {
      ranks.resize(static_cast<std::size_t>(hello.ranks));
      table.resize(ranks.size());
    }
    const auto rank = static_cast<std::size_t>(hello.rank);
    Answer answer = Answer::kTable;
    if (static_cast<std::size_t>(hello.ranks) != ranks.size()) answer = Answer::kOtherCount;
    if (answer == Answer::kTable && ranks[rank].open()) answer = Answer::kTwice;
    if (answer == Answer::kTable && !devices.emplace(hello.host, hello.device).second) {
      answer = Answer::kSameDevice;
    }
    if (answer != Answer::kTable) {
      socket->send(&answer, sizeof answer, never);
      continue;
    }
    ranks[rank] = std::move(*socket);
    table[rank] = {hello.host, hello.device, 0, hello.listener};
    ++arrived;
  }
  for (const Socket& rank : ranks) {
    constexpr Answer kGood = Answer::kTable;
    rank.send(&kGood, sizeof kGood, never);
    rank.send(table.data(), table.size() * sizeof(Entry), never);
  }
}

}  // namespace

bool make_unique_id(ncclUniqueId& id, std::string& why) {
  auto listener = listen(why);
  if (!listener) return false;
  Id content;
  if (::getrandom(&content.nonce, sizeof content.nonce, 0) < 0) content.nonce = 1;
  content.root = listener->second;
  std::memset(&id, 0, sizeof id);
  std::memcpy(&id, &content, sizeof content);
  std::thread([socket = std::move(listener->first), nonce = content.nonce] {
    serve(socket, nonce);
  }).detach();
  return true;
}

Peers find_peers(const ncclUniqueId& id, int rank, int ranks, int device,
                 const std::atomic<bool>& stop, std::string& why) {
  Id content;
  std::memcpy(static_cast<void*>(&content), &id, sizeof content);
  if (content.magic != kMagic) {
    why = "the unique id was not made by ncclGetUniqueId of this library";
    return {};
  }
  auto listener = listen(why);
  if (!listener) return {};
  const Hello hello{.nonce = content.nonce,
                    .rank = rank,
                    .ranks = ranks,
                    .device = device,
                    .host = host_number(),
                    .listener = listener->second};
  const std::optional<Socket> root = connect(content.root, stop);
  Answer answer = Answer::kTable;
  if (!root || !root->send(&hello, sizeof hello, stop) ||
      !root->receive(&answer, sizeof answer, stop)) {
    why = "lost the process that made the unique id, at " + text_of(content.root);
    return {};
  }
  if (answer != Answer::kTable) {
    why = text_of(answer);
    return {};
  }
  const auto count = static_cast<std::size_t>(ranks);
  std::vector<Entry> table(count);
  if (!root->receive(table.data(), count * sizeof(Entry), stop)) {
    why = "lost the process that made the unique id, at " + text_of(content.root);
    return {};
  }

  // To lower ranks this one connects; from higher ones it is called.
  std::vector<Socket> peers(count);
  for (std::size_t peer = 0; peer < static_cast<std::size_t>(rank); ++peer) {
    std::optional<Socket> socket = connect(table[peer].listener, stop);
    if (!socket || !socket->send(&hello, sizeof hello, stop)) {
      why = "cannot reach rank " + std::to_string(peer) + " at " + text_of(table[peer].listener);
      return {};
    }
    peers[peer] = std::move(*socket);
  }
  for (int missing = ranks - rank - 1; missing > 0;) {
    std::optional<Socket> socket = accept(listener->first, stop);
    if (!socket) return {};
    Hello other;
    if (!socket->receive(&other, sizeof other, stop) || other.nonce != content.nonce ||
        other.rank <= rank || other.rank >= ranks) {
      continue;
    }
    peers[static_cast<std::size_t>(other.rank)] = std::move(*socket);
    --missing;
  }
  Peers result;
  result.sockets = std::move(peers);
  for (const Entry& entry : table) {
    result.peers.push_back({entry.device, entry.host != hello.host, entry.host});
  }
  return result;
}

}  // namespace gpusim::nccl
