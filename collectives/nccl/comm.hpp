// One ncclComm_t, made without blocking: whatever NCCL does in the background is waited for by
// asking, so that a peer that never comes ends in a message and not in a hang.
#pragma once

#include <nccl.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "ops/base/error.hpp"

namespace ingot::nccl {

class Comm {
 public:
  /// Makes ncclComm_t among ranks that all call this; `who` names this rank in messages. Takes at
  /// most `timeout` seconds (0: for ever), then throws Error(kTimeout).
  static std::unique_ptr<Comm> create(const ncclUniqueId& id, int size, int rank, double timeout,
                                      const std::string& who);
  /// Those with equal colors, ordered by key.
  std::unique_ptr<Comm> split(int color, int key, double timeout);
  /// Leaves in order where nothing went wrong, which its peers must do as well.
  ~Comm();
  Comm(const Comm&) = delete;
  Comm& operator=(const Comm&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }

  /// Makes NCCL calls, `calls(comm)`, and waits until NCCL has taken them. Throws Error(kTimeout)
  /// after abort(), and what NCCL reports.
  template <typename F>
  void issue(const char* what, F calls) {
    const std::scoped_lock lock(mutex_);
    ensure_open(what);
    settle(calls(comm_), what, 0);
  }
  /// Lets NCCL reach memory of this GPU without copies of its own; returns its handle. The memory
  /// outlives deregister(), or this.
  void* register_memory(void* data, std::int64_t bytes);
  void deregister(void* handle);
  /// An error that NCCL met in the background, as an Error that names this rank.
  std::optional<Error> background_error();
  /// Ends all exchanges of this communicator, those that hang on the GPU too; issue() throws from
  /// now on. From any thread. May take long where NCCL or the GPU hangs.
  void abort();
  bool aborted() const { return aborted_.load(); }

 private:
  Comm(ncclComm_t comm, std::string who);
  void settle(ncclResult_t result, const char* what, double timeout);
  void ensure_open(const char* what) const;
  void learn_place();
  [[noreturn]] void raise(ncclResult_t result, const char* what);

  std::timed_mutex
      mutex_;  ///< of calls into NCCL; abort() waits a little for it, then goes on without
  ncclComm_t comm_;
  std::string who_;
  int rank_ = 0;
  int size_ = 1;
  std::atomic<bool> aborted_{false};
  std::atomic<bool> broken_{false};  ///< an error was reported: it cannot be left in order
};

}  // namespace ingot::nccl
