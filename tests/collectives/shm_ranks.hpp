// Ranks of a node as threads of one process: each has its own communicator, device and stream, and
// they share memory as processes do, without a second mapping. So sanitizers see both sides.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "collectives/shm/shm_communicator.hpp"
#include "tests/far_device.hpp"

namespace ingot::test {

/// Exchanges texts among threads.
class ThreadExchange {
 public:
  explicit ThreadExchange(int ranks) : texts_(static_cast<std::size_t>(ranks)) {}

  std::vector<std::string> all_gather(int rank, const std::string& mine) {
    std::unique_lock lock(mutex_);
    texts_[static_cast<std::size_t>(rank)] = mine;
    const int round = round_;
    if (++arrived_ == static_cast<int>(texts_.size())) {
      gathered_ = texts_;
      arrived_ = 0;
      ++round_;
      all_here_.notify_all();
    }
    all_here_.wait(lock, [&] { return round_ != round; });
    return gathered_;
  }
  void barrier(int rank) { all_gather(rank, ""); }

 private:
  std::mutex mutex_;
  std::condition_variable all_here_;
  std::vector<std::string> texts_;
  std::vector<std::string> gathered_;
  int arrived_ = 0;
  int round_ = 0;
};

/// What one rank has.
struct ShmRank {
  int rank = 0;
  int ranks = 1;
  ThreadExchange& exchange;
  std::unique_ptr<cpu::CpuDevice> device;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<ShmCommunicator> communicator;

  void barrier() const { exchange.barrier(rank); }
};

/// Runs `body` on every rank and returns what each threw.
inline std::vector<std::exception_ptr> run_shm_ranks(int ranks,
                                                     const std::function<void(ShmRank&)>& body,
                                                     double timeout_seconds = 60) {
  ThreadExchange exchange(ranks);
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        ShmRank self{rank, ranks, exchange, make_cpu_device(1, ranks), nullptr, nullptr};
        self.stream = self.device->create_stream("collectives");
        self.communicator = create_shm_communicator(
            {.rank = rank,
             .size = ranks,
             .all_gather = [&](const std::string& mine) { return exchange.all_gather(rank, mine); },
             .timeout_seconds = timeout_seconds});
        body(self);
      } catch (...) {
        errors[static_cast<std::size_t>(rank)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

/// The same, where nothing may go wrong.
inline void on_shm_ranks(int ranks, const std::function<void(ShmRank&)>& body) {
  for (const std::exception_ptr& error : run_shm_ranks(ranks, body)) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace ingot::test
