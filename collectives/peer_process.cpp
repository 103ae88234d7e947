#include "collectives/peer_process.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ops/base/error.hpp"
#include "ops/base/units.hpp"

namespace ingot {

ProcessIdentity ProcessIdentity::own(const std::string& host) {
  struct stat status = {};
  const bool known = stat("/proc/self/ns/pid", &status) == 0;
  return {host, getpid(), known ? status.st_ino : 0};
}

std::string ProcessIdentity::text() const {
  return fmt::format("{} {} {}", pid, pid_namespace, host);
}

ProcessIdentity ProcessIdentity::parse(std::string_view text) {
  const auto first = text.find(' ');
  const auto second = first == std::string_view::npos ? first : text.find(' ', first + 1);
  ensure(second != std::string_view::npos, "a process as its rank describes it");
  const auto pid = parse_integer(text.substr(0, first));
  const auto name_space = parse_unsigned(text.substr(first + 1, second - first - 1));
  ensure(pid.has_value() && name_space.has_value(), "a process as its rank describes it");
  return {std::string(text.substr(second + 1)), *pid, *name_space};
}

PeerProcesses::PeerProcesses(std::vector<ProcessIdentity> ranks, int self)
    : ranks_(std::move(ranks)), handles_(ranks_.size()) {
  const ProcessIdentity& own = identity(self);
  for (int rank = 0; rank < size(); ++rank) {
    const ProcessIdentity& other = identity(rank);
    const bool here = other.host == own.host && other.pid_namespace != 0 &&
                      other.pid_namespace == own.pid_namespace;
    if (rank == self || !here) continue;
    // A kernel before 5.3 knows no handles of processes: then nothing is seen.
    handles_[static_cast<std::size_t>(rank)] =
        FileDescriptor(static_cast<int>(syscall(SYS_pidfd_open, other.pid, 0)));
  }
}

bool PeerProcesses::ended(int rank) const {
  pollfd handle = {descriptor(rank), POLLIN, 0};
  return handle.fd >= 0 && poll(&handle, 1, 0) == 1;
}

}  // namespace ingot
