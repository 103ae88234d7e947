// A Unix socket between every two ranks of a node. Over it go file descriptors and the few messages
// outside of steps; and since the kernel closes it with the process, it tells whether a peer lives.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "collectives/shm/mapping.hpp"

namespace ingot::shm {

/// Returns every rank's text by rank; blocking, called by all ranks.
using AllGather = std::function<std::vector<std::string>(const std::string& mine)>;

struct Message {
  std::string bytes;
  File file;  ///< not open where none was sent
};

class Mesh {
 public:
  /// Collective. `all_gather` carries the sockets' names and secrets, once. The sockets lie in the
  /// abstract namespace under random names, and only processes of the same user that know a rank's
  /// secret are let in. Throws Error(kEnvironment) where ranks do not reach each other within the
  /// timeout (0: for ever), as in containers with namespaces of their own.
  Mesh(int rank, int size, const AllGather& all_gather, std::chrono::duration<double> timeout);

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(links_.size()); }
  /// Whether this rank runs in the same process, as in tests: memory needs no second mapping.
  bool same_process(int rank) const { return links_[index(rank)].same_process; }
  /// Whether the peer has ended, or left the mesh; from any thread.
  bool has_left(int rank) const;

  /// Everyone's message among `members` (this rank is one of them), in their order; blocking and
  /// collective, messages of at most kLargest bytes. Throws Error(kTimeout) where one does not
  /// come.
  static constexpr std::size_t kLargest = 4096;
  std::vector<Message> exchange(std::span<const int> members, const std::string& mine,
                                int descriptor = -1);

 private:
  struct Link {
    File socket;
    bool same_process = false;
  };
  static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }
  void send(int peer, const std::string& bytes, int descriptor) const;
  Message receive(int peer) const;
  void read_exactly(int peer, void* data, std::size_t bytes, File* file) const;

  int rank_;
  std::chrono::duration<double> timeout_;
  std::vector<Link> links_;  ///< by rank; the own one is closed
};

}  // namespace ingot::shm
