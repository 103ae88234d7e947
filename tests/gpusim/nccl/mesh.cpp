#include "nccl/mesh.hpp"

#include <cstring>
#include <utility>

#include "report/traffic.hpp"

namespace gpusim::nccl {

/// Precedes each message; `goodbye` has no payload.
struct Mesh::Header {
  MessageKey key;
  Description description;
  std::uint64_t bytes = 0;
  std::uint64_t goodbye = 0;
};

Mesh::Mesh(int rank, Peers peers, std::function<void(int)> lost)
    : rank_(rank),
      links_(peers.sockets.size()),
      peers_(std::move(peers.peers)),
      lost_(std::move(lost)) {
  for (std::size_t peer = 0; peer < links_.size(); ++peer) {
    links_[peer].socket = std::move(peers.sockets[peer]);
  }
  for (int peer = 0; peer < size(); ++peer) {
    if (peer == rank_) continue;
    links_[static_cast<std::size_t>(peer)].receiver =
        std::thread([this, peer] { receive_from(peer); });
  }
}

Mesh::~Mesh() {
  stop();
  for (Link& link : links_) {
    if (link.receiver.joinable()) link.receiver.join();
  }
}

void Mesh::receive_from(int peer) {
  const Socket& socket = links_[static_cast<std::size_t>(peer)].socket;
  while (true) {
    Header header;
    Message message;
    bool good = socket.receive(&header, sizeof header, stop_);
    if (good && header.goodbye != 0) return;
    if (good) {
      message.description = header.description;
      message.data.resize(header.bytes);
      good = socket.receive(message.data.data(), header.bytes, stop_);
    }
    if (!good) {
      if (!stopped()) lost_(peer);
      return;
    }
    const std::lock_guard lock(mutex_);
    inbox_.insert_or_assign({peer, header.key}, std::move(message));
    arrived_.notify_all();
  }
}

bool Mesh::send(int peer, const MessageKey& key, const Description& description, const void* data,
                std::size_t bytes) {
  if (stopped()) return false;
  if (peer == rank_) {
    Message message{description, std::vector<std::byte>(bytes)};
    if (bytes > 0) std::memcpy(message.data.data(), data, bytes);
    const std::lock_guard lock(mutex_);
    inbox_.insert_or_assign({peer, key}, std::move(message));
    arrived_.notify_all();
    return true;
  }
  Link& link = links_[static_cast<std::size_t>(peer)];
  const std::lock_guard lock(link.sending);
  const Header header{key, description, bytes, 0};
  link.sent.fetch_add(bytes, std::memory_order_relaxed);
  if (bytes > 0) {
    report::add_transfer(this->peer(rank_).device, this->peer(peer).device,
                         this->peer(peer).network, bytes);
  }
  return link.socket.send(&header, sizeof header, stop_) && link.socket.send(data, bytes, stop_);
}

std::optional<Message> Mesh::receive(int peer, const MessageKey& key) {
  return wait_for(peer, key, false);
}

std::optional<Message> Mesh::receive_anyway(int peer, const MessageKey& key) {
  return wait_for(peer, key, true);
}

void Mesh::interrupt() {
  const std::lock_guard lock(mutex_);
  interrupted_.store(true, std::memory_order_release);
  arrived_.notify_all();
}

std::optional<Message> Mesh::wait_for(int peer, const MessageKey& key, bool anyway) {
  std::unique_lock lock(mutex_);
  const std::pair place(peer, key);
  const auto ends = [&] { return stopped() || (interrupted() && !anyway); };
  arrived_.wait(lock, [&] { return ends() || inbox_.contains(place); });
  const auto found = inbox_.find(place);
  if (ends() || found == inbox_.end()) return std::nullopt;
  Message message = std::move(found->second);
  inbox_.erase(found);
  return message;
}

void Mesh::stop() {
  const std::lock_guard lock(mutex_);
  stop_.store(true, std::memory_order_release);
  for (const Link& link : links_) link.socket.shut_down();
  arrived_.notify_all();
}

void Mesh::wait_until_stopped() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [&] { return stopped() || interrupted(); });
}

void Mesh::say_goodbye() {
  for (int peer = 0; peer < size(); ++peer) {
    if (peer == rank_) continue;
    Link& link = links_[static_cast<std::size_t>(peer)];
    const std::lock_guard lock(link.sending);
    const Header header{{}, {}, 0, 1};
    link.socket.send(&header, sizeof header, stop_);
  }
}

void Mesh::cut(int peer) {
  links_[static_cast<std::size_t>(peer)].socket.shut_down();
}

std::uint64_t Mesh::sent_bytes(int peer) const {
  return links_[static_cast<std::size_t>(peer)].sent.load(std::memory_order_relaxed);
}

}  // namespace gpusim::nccl
