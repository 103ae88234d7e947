// Which ranks of this machine still run. The kernel tells at once when one has ended, however it
// did; of ranks on other machines nothing is known here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/base/file.hpp"

namespace ingot {

/// A rank's process as it says of itself.
struct ProcessIdentity {
  std::string host;
  std::int64_t pid = 0;
  std::uint64_t pid_namespace = 0;  ///< in which the pid holds; 0: not known

  static ProcessIdentity own(const std::string& host);
  std::string text() const;
  /// Throws Error(kInternal) where it is not a text().
  static ProcessIdentity parse(std::string_view text);
};

class PeerProcesses {
 public:
  /// By rank; `self` is this process's rank.
  PeerProcesses(std::vector<ProcessIdentity> ranks, int self);

  const ProcessIdentity& identity(int rank) const { return at(ranks_, rank); }
  /// Whether the rank's process can be seen from here.
  bool seen(int rank) const { return static_cast<bool>(at(handles_, rank)); }
  /// Whether it has ended. False where it is not seen.
  bool ended(int rank) const;
  /// Becomes readable when the process ends; -1 where it is not seen.
  int descriptor(int rank) const { return at(handles_, rank).get(); }
  int size() const { return static_cast<int>(ranks_.size()); }

 private:
  template <typename T>
  static const T& at(const std::vector<T>& values, int rank) {
    return values.at(static_cast<std::size_t>(rank));
  }

  std::vector<ProcessIdentity> ranks_;
  std::vector<FileDescriptor> handles_;  ///< by rank: pidfds
};

}  // namespace ingot
