#include "nccl/socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string_view>
#include <vector>

namespace gpusim::nccl {

namespace {

constexpr int kLookMilliseconds = 100;

sockaddr_in native(const Address& address) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr.s_addr = address.host;
  result.sin_port = htons(address.port);
  return result;
}

/// Waits for `events`; false where `stop` was set first.
bool wait_for(int descriptor, short events, const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_acquire)) {
    pollfd entry{descriptor, events, 0};
    const int ready = ::poll(&entry, 1, kLookMilliseconds);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
  return false;
}

void prepare(int descriptor) {
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

/// Whether NCCL_SOCKET_IFNAME admits an interface: a list of prefixes, "=" before a list of whole
/// names, "^" before what is left out.
bool admitted(std::string_view name, std::string_view list) {
  const bool exclude = list.starts_with("^");
  if (exclude) list.remove_prefix(1);
  const bool exact = list.starts_with("=");
  if (exact) list.remove_prefix(1);
  std::istringstream parts{std::string(list)};
  bool listed = false;
  for (std::string part; std::getline(parts, part, ',');) {
    listed = listed || (exact ? name == part : name.starts_with(part));
  }
  return listed != exclude;
}

/// The address of the interface to listen on; 0 where none is admitted.
std::uint32_t own_host() {
  const char* list = std::getenv("NCCL_SOCKET_IFNAME");
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return htonl(INADDR_LOOPBACK);
  std::uint32_t host = 0;
  bool loopback = false;
  for (const ifaddrs* entry = all; entry != nullptr; entry = entry->ifa_next) {
    const bool usable = entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == AF_INET &&
                        (entry->ifa_flags & IFF_UP) != 0;
    if (!usable || (list != nullptr && !admitted(entry->ifa_name, list))) continue;
    const bool here = (entry->ifa_flags & IFF_LOOPBACK) != 0;
    if (host != 0 && !(loopback && !here)) continue;
    sockaddr_in address{};
    std::memcpy(&address, entry->ifa_addr, sizeof address);
    host = address.sin_addr.s_addr;
    loopback = here;
  }
  ::freeifaddrs(all);
  return host;
}

}  // namespace

std::string text_of(const Address& address) {
  char text[INET_ADDRSTRLEN] = "";
  const in_addr host{address.host};
  ::inet_ntop(AF_INET, &host, text, sizeof text);
  return std::string(text) + ":" + std::to_string(address.port);
}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void Socket::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

void Socket::shut_down() const {
  if (descriptor_ >= 0) ::shutdown(descriptor_, SHUT_RDWR);
}

bool Socket::send(const void* data, std::size_t bytes, const std::atomic<bool>& stop) const {
  const auto* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t sent = ::send(descriptor_, from, bytes, MSG_NOSIGNAL);
    if (sent > 0) {
      from += sent;
      bytes -= static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_for(descriptor_, POLLOUT, stop)) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

bool Socket::receive(void* data, std::size_t bytes, const std::atomic<bool>& stop) const {
  auto* to = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t received = ::recv(descriptor_, to, bytes, 0);
    if (received > 0) {
      to += received;
      bytes -= static_cast<std::size_t>(received);
    } else if (received == 0) {
      return false;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_for(descriptor_, POLLIN, stop)) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

std::optional<std::pair<Socket, Address>> listen(std::string& why) {
  Address address{own_host(), 0};
  if (address.host == 0) {
    const char* list = std::getenv("NCCL_SOCKET_IFNAME");
    why = "no interface that is up is among NCCL_SOCKET_IFNAME=" + std::string(list ? list : "");
    return std::nullopt;
  }
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in bound = native(address);
  socklen_t length = sizeof bound;
  auto* plain = reinterpret_cast<sockaddr*>(&bound);
  if (!socket.open() || ::bind(socket.descriptor(), plain, length) != 0 ||
      ::listen(socket.descriptor(), SOMAXCONN) != 0 ||
      ::getsockname(socket.descriptor(), plain, &length) != 0) {
    why = "cannot listen on " + text_of(address) + ": " + std::strerror(errno);
    return std::nullopt;
  }
  prepare(socket.descriptor());
  address.port = ntohs(bound.sin_port);
  return std::pair(std::move(socket), address);
}

std::optional<Socket> accept(const Socket& listener, const std::atomic<bool>& stop) {
  while (wait_for(listener.descriptor(), POLLIN, stop)) {
    Socket socket(::accept4(listener.descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket.open()) continue;
    prepare(socket.descriptor());
    return socket;
  }
  return std::nullopt;
}

std::optional<Socket> connect(const Address& address, const std::atomic<bool>& stop) {
  const sockaddr_in to = native(address);
  while (!stop.load(std::memory_order_acquire)) {
    Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.open()) return std::nullopt;
    if (::connect(socket.descriptor(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
      prepare(socket.descriptor());
      return socket;
    }
    // Nobody listens yet, or the network is not there yet.
    ::poll(nullptr, 0, kLookMilliseconds);
  }
  return std::nullopt;
}

}  // namespace gpusim::nccl
