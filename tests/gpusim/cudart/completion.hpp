// The end of one piece of work: waited for by the host, by other streams and by events.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "check/stream_order.hpp"

namespace gpusim::cudart {

class Completion {
 public:
  bool ready() const { return done_.load(std::memory_order_acquire) != 0; }
  void wait() const {
    while (!ready()) done_.wait(0, std::memory_order_acquire);
  }
  void signal() {
    when_ = std::chrono::steady_clock::now();
    done_.store(1, std::memory_order_release);
    done_.notify_all();
  }
  /// Valid once ready.
  std::chrono::steady_clock::time_point when() const { return when_; }

  /// What waiting for this orders; set before anyone else sees the object.
  Clock clock;

 private:
  std::atomic<std::uint32_t> done_{0};
  std::chrono::steady_clock::time_point when_;
};

using CompletionPointer = std::shared_ptr<Completion>;

}  // namespace gpusim::cudart
