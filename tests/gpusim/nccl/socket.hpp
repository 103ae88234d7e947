// TCP between the processes of a communicator: on one machine, or between machines and network
// namespaces. IPv4.
#pragma once

#include <netinet/in.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace gpusim::nccl {

struct Address {
  std::uint32_t host = 0;  ///< network byte order
  std::uint16_t port = 0;  ///< host byte order
};
std::string text_of(const Address& address);

/// Owns a descriptor. Transfers return false where the other side is gone or `stop` was set; they
/// look at `stop` ten times a second.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket() { close(); }

  int descriptor() const { return descriptor_; }
  bool open() const { return descriptor_ >= 0; }
  void close();
  /// Ends the connection for both sides; the descriptor stays.
  void shut_down() const;
  bool send(const void* data, std::size_t bytes, const std::atomic<bool>& stop) const;
  bool receive(void* data, std::size_t bytes, const std::atomic<bool>& stop) const;

 private:
  int descriptor_ = -1;
};

/// A listener on the interface that peers reach this process by (NCCL_SOCKET_IFNAME as the library
/// reads it; else the first one that is up and not loopback; else loopback) and a free port.
std::optional<std::pair<Socket, Address>> listen(std::string& why);
std::optional<Socket> accept(const Socket& listener, const std::atomic<bool>& stop);
/// Tries until the other side listens, or `stop` is set.
std::optional<Socket> connect(const Address& address, const std::atomic<bool>& stop);

}  // namespace gpusim::nccl
