// How the ranks of a communicator find each other: the unique id is the address of a listener in
// the process that made it; every rank tells it where it listens itself, gets the table of all, and
// connects to every other.
#pragma once

#include <nccl.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "nccl/socket.hpp"

namespace gpusim::nccl {

/// Starts the listener, on a thread that ends when all ranks of one communicator were served. False
/// with `why` where that cannot be done.
bool make_unique_id(ncclUniqueId& id, std::string& why);

/// What is known of a rank beside its connection.
struct Peer {
  int device = 0;          ///< number in its machine
  bool network = false;    ///< on another machine
  std::uint64_t host = 0;  ///< equal for ranks of one machine
};
struct Peers {
  std::vector<Socket> sockets;
  std::vector<Peer> peers;
};

/// Connections by rank; the own one stays closed. Empty where `stop` was set, or with `why` where
/// ranks contradict each other or share a GPU. `device`: number in the machine.
Peers find_peers(const ncclUniqueId& id, int rank, int ranks, int device,
                 const std::atomic<bool>& stop, std::string& why);

}  // namespace gpusim::nccl
