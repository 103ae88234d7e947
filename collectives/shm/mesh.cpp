#include "collectives/shm/mesh.hpp"

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "ops/base/error.hpp"

namespace ingot::shm {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::string_view kProtocol = "ingot shm 1 ";
constexpr std::size_t kKeyBytes = 16;
using Key = std::array<char, kKeyBytes>;

Key random_key() {
  Key key{};
  if (getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) {
    fail(ExitCode::kInternal, "no random bytes: {}", std::strerror(errno));
  }
  return key;
}

/// What a rank tells the others before there are sockets: where it listens and whom it lets in.
struct Invitation {
  Key name = random_key();
  Key secret = random_key();

  std::string text() const {
    return std::string(kProtocol) + std::string(name.data(), kKeyBytes) +
           std::string(secret.data(), kKeyBytes);
  }
  static Invitation of(const std::string& text, int rank) {
    if (text.size() != kProtocol.size() + 2 * kKeyBytes || !text.starts_with(kProtocol)) {
      fail(ExitCode::kEnvironment, "rank {} of this node runs another version of ingot", rank);
    }
    Invitation invitation;
    text.copy(invitation.name.data(), kKeyBytes, kProtocol.size());
    text.copy(invitation.secret.data(), kKeyBytes, kProtocol.size() + kKeyBytes);
    return invitation;
  }
};

struct Hello {
  Key secret{};
  std::int32_t rank = -1;
};

struct Address {
  sockaddr_un address{};
  socklen_t length = 0;
};
/// In the abstract namespace: nothing lies in a file system, and the name goes with the socket.
Address address_of(const Key& name) {
  Address result;
  result.address.sun_family = AF_UNIX;
  std::string text = "ingot-";
  for (const char c : name) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  text.copy(result.address.sun_path + 1, text.size());
  result.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  return result;
}

[[noreturn]] void fail_to_connect(const std::string& what) {
  fail(ExitCode::kEnvironment,
       "the ranks of this node cannot share memory: {}; where they run in containers with "
       "namespaces of their own, set collectives.transport to mpi",
       what);
}

int milliseconds_left(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(std::min<std::int64_t>(left, 1 << 30));
}

bool readable(int socket, Clock::time_point deadline) {
  pollfd entry{.fd = socket, .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = poll(&entry, 1, milliseconds_left(deadline));
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

ucred credentials_of(int socket) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) peer.uid = ~uid_t{0};
  return peer;
}

/// Of what connects here, a rank above this one; -1 for anybody else.
int admit(int socket, const Key& secret, Clock::time_point deadline) {
  if (credentials_of(socket).uid != geteuid()) return -1;
  Hello hello;
  const bool complete = readable(socket, deadline) &&
                        recv(socket, &hello, sizeof(hello), MSG_WAITALL) == sizeof(hello);
  return complete && hello.secret == secret ? hello.rank : -1;
}

Clock::time_point deadline_after(Seconds timeout) {
  constexpr Seconds kForEver = std::chrono::hours(24 * 7);
  const Seconds time = timeout.count() > 0 ? timeout : kForEver;
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(time);
}

}  // namespace

Mesh::Mesh(int rank, int size, const AllGather& all_gather, Seconds timeout)
    : rank_(rank), timeout_(timeout), links_(static_cast<std::size_t>(size)) {
  const Invitation mine;
  const Address here = address_of(mine.name);
  const File listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const bool listening =
      listener.open() &&
      bind(listener.get(), reinterpret_cast<const sockaddr*>(&here.address), here.length) == 0 &&
      listen(listener.get(), size) == 0;
  // Told to all even where it failed here, so that nobody waits for this rank.
  const std::vector<std::string> all = all_gather(listening ? mine.text() : "");
  ensure(all.size() == links_.size(), "one invitation from every rank of the node");
  links_[index(rank)].same_process = true;
  const Clock::time_point deadline = deadline_after(timeout);
  for (int other = 0; other < size; ++other) {
    const Invitation theirs = Invitation::of(all[index(other)], other);
    if (other >= rank) continue;
    File link(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const Address there = address_of(theirs.name);
    if (!link.open() ||
        connect(link.get(), reinterpret_cast<const sockaddr*>(&there.address), there.length) != 0) {
      fail_to_connect(fmt::format("rank {} of the node cannot connect to rank {}: {}", rank, other,
                                  std::strerror(errno)));
    }
    const ucred peer = credentials_of(link.get());
    const Hello hello{.secret = theirs.secret, .rank = rank};
    if (peer.uid != geteuid() ||
        ::send(link.get(), &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello)) {
      fail_to_connect(fmt::format("rank {} of the node belongs to another user or ended", other));
    }
    links_[index(other)] = {std::move(link), peer.pid == getpid()};
  }
  for (int missing = size - 1 - rank; missing > 0;) {
    if (!readable(listener.get(), deadline)) {
      fail_to_connect(fmt::format("{} ranks have not connected to rank {} within {} s", missing,
                                  rank, timeout.count()));
    }
    File link(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const int other = admit(link.get(), mine.secret, deadline);
    if (other <= rank || other >= size || links_[index(other)].socket.open()) continue;
    const bool same_process = credentials_of(link.get()).pid == getpid();
    links_[index(other)] = {std::move(link), same_process};
    --missing;
  }
}

bool Mesh::has_left(int rank) const {
  if (rank == rank_) return false;
  pollfd entry{.fd = links_[index(rank)].socket.get(), .events = POLLRDHUP, .revents = 0};
  return poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

std::vector<Message> Mesh::exchange(std::span<const int> members, const std::string& mine,
                                    int descriptor) {
  for (const int member : members) {
    if (member != rank_) send(member, mine, descriptor);
  }
  std::vector<Message> all;
  for (const int member : members) {
    all.push_back(member == rank_ ? Message{mine, File()} : receive(member));
  }
  return all;
}

/// A message is its length and its bytes; the descriptor comes with the length. All of it fits the
/// socket's buffer, so that sending does not wait for the receiver.
void Mesh::send(int peer, const std::string& bytes, int descriptor) const {
  ensure(bytes.size() <= kLargest, "a short message");
  auto length = static_cast<std::uint32_t>(bytes.size());
  std::array<iovec, 2> parts{
      {{&length, sizeof(length)}, {const_cast<char*>(bytes.data()), bytes.size()}}};
  msghdr header{};
  header.msg_iov = parts.data();
  header.msg_iovlen = parts.size();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (descriptor >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &descriptor, sizeof(int));
  }
  const auto expected = static_cast<ssize_t>(sizeof(length) + bytes.size());
  if (sendmsg(links_[index(peer)].socket.get(), &header, MSG_NOSIGNAL) != expected) {
    fail(ExitCode::kTimeout, "cannot reach rank {} of this node: {}", peer, std::strerror(errno));
  }
}

void Mesh::read_exactly(int peer, void* data, std::size_t bytes, File* file) const {
  const int socket = links_[index(peer)].socket.get();
  const Clock::time_point deadline = deadline_after(timeout_);
  for (std::size_t done = 0; done < bytes;) {
    if (!readable(socket, deadline)) {
      fail(ExitCode::kTimeout,
           "rank {} of this node has sent nothing for {} s while memory is being shared", peer,
           timeout_.count());
    }
    iovec part{static_cast<char*>(data) + done, bytes - done};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t received = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) fail(ExitCode::kTimeout, "rank {} of this node has ended", peer);
    for (cmsghdr* part_of = CMSG_FIRSTHDR(&header); part_of != nullptr;
         part_of = CMSG_NXTHDR(&header, part_of)) {
      if (part_of->cmsg_level != SOL_SOCKET || part_of->cmsg_type != SCM_RIGHTS) continue;
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(part_of), sizeof(int));
      File arrived(descriptor);
      if (file != nullptr) *file = std::move(arrived);
    }
    done += static_cast<std::size_t>(received);
  }
}

Message Mesh::receive(int peer) const {
  std::uint32_t length = 0;
  Message message;
  read_exactly(peer, &length, sizeof(length), &message.file);
  if (length > kLargest) {
    fail(ExitCode::kInternal, "rank {} of this node sent a message of {} bytes", peer, length);
  }
  message.bytes.resize(length);
  read_exactly(peer, message.bytes.data(), length, nullptr);
  return message;
}

}  // namespace ingot::shm
