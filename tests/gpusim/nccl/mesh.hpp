// Messages between the ranks of a communicator. Whatever arrives is kept until somebody asks for
// it, so that a sender waits for nobody; a message is found by what it belongs to, so that
// operations of different streams may pass each other.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "nccl/bootstrap.hpp"
#include "nccl/socket.hpp"

namespace gpusim::nccl {

/// What a rank believes the operation to be: travels with each message, for the comparison.
struct Description {
  std::int32_t kind = 0;
  std::int32_t type = 0;
  std::int32_t operation = 0;
  std::int32_t root = 0;
  std::uint64_t count = 0;
  friend bool operator==(const Description&, const Description&) = default;
};

/// Which message: of the operation with this number, of its run (a captured one runs at each
/// replay), and of the parts that one rank sends another in it.
struct MessageKey {
  std::uint64_t operation = 0;
  std::uint64_t run = 0;
  std::uint64_t part = 0;
  friend auto operator<=>(const MessageKey&, const MessageKey&) = default;
};

struct Message {
  Description description;
  std::vector<std::byte> data;
};

class Mesh {
 public:
  /// `lost` is told, on a thread of the mesh, of a peer whose connection ended without a goodbye.
  Mesh(int rank, Peers peers, std::function<void(int peer)> lost);
  ~Mesh();
  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(links_.size()); }
  const Peer& peer(int number) const { return peers_[static_cast<std::size_t>(number)]; }
  /// False where the peer is gone or the mesh was stopped.
  bool send(int peer, const MessageKey& key, const Description& description, const void* data,
            std::size_t bytes);
  /// Waits for a message; nothing where the mesh was stopped. A lost peer is waited for for ever,
  /// as a GPU would.
  std::optional<Message> receive(int peer, const MessageKey& key);
  /// Ends the waits for `receive`, now and later, but keeps the connections: what is agreed on
  /// afterwards comes by receive_anyway.
  void interrupt();
  std::optional<Message> receive_anyway(int peer, const MessageKey& key);
  /// Ends all waits, now and later.
  void stop();
  bool stopped() const { return stop_.load(std::memory_order_acquire); }
  bool interrupted() const { return interrupted_.load(std::memory_order_acquire); }
  /// Blocks until the mesh is stopped or interrupted.
  void wait_until_stopped();
  /// Tells the peers that this rank leaves in good order.
  void say_goodbye();
  /// For injected faults: the connection to a peer breaks.
  void cut(int peer);
  /// Bytes of payload sent to a peer so far.
  std::uint64_t sent_bytes(int peer) const;

 private:
  struct Header;
  struct Link {
    Socket socket;
    std::mutex sending;
    std::atomic<std::uint64_t> sent{0};
    std::thread receiver;
  };
  void receive_from(int peer);
  std::optional<Message> wait_for(int peer, const MessageKey& key, bool anyway);

  int rank_;
  std::vector<Link> links_;
  std::vector<Peer> peers_;
  std::function<void(int)> lost_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> interrupted_{false};
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::pair<int, MessageKey>, Message> inbox_;  ///< guarded by mutex_
};

}  // namespace gpusim::nccl
