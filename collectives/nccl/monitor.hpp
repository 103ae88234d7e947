// Asks NCCL a few times a second whether something went wrong in the background: a peer that died
// or a link that broke shows nowhere else, since the GPU then waits for ever. One for a
// communicator and all that is split off it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "ops/base/error.hpp"

namespace ingot::nccl {

/// What the monitor looks after.
class Monitored {
 public:
  virtual ~Monitored() = default;
  /// An error that has come up by itself.
  virtual std::optional<Error> background_error() = 0;
  virtual void abort_exchanges() = 0;
};

class Monitor {
 public:
  /// `failed` is told the first error, on a thread of the monitor.
  explicit Monitor(std::function<void(const Error&)> failed);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  void add(Monitored& communicator);
  void remove(Monitored& communicator);
  /// Ends the exchanges of all communicators.
  void cancel();

 private:
  void run();
  std::optional<Error> first_error();

  std::function<void(const Error&)> failed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Monitored*> communicators_;  ///< guarded by mutex_
  bool stopping_ = false;                  ///< guarded by mutex_
  bool cancelled_ = false;                 ///< guarded by mutex_
  std::thread thread_;
};

}  // namespace ingot::nccl
