// A pool that grows with the demand. It never makes a job wait for another: jobs may depend on each
// other.
#include "cudart/workers.hpp"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace gpusim::cudart {
namespace {

struct Pool {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> jobs;
  std::size_t idle = 0;

  void loop() {
    pthread_setname_np(pthread_self(), "gpusim branch");
    std::unique_lock lock(mutex);
    while (true) {
      ++idle;
      changed.wait(lock, [this] { return !jobs.empty(); });
      --idle;
      auto job = std::move(jobs.front());
      jobs.pop_front();
      lock.unlock();
      job();
      job = nullptr;
      lock.lock();
    }
  }
};

Pool& pool() {
  static Pool* shared = new Pool;
  return *shared;
}

}  // namespace

void run_on_worker(std::function<void()> job) {
  Pool& p = pool();
  std::unique_lock lock(p.mutex);
  p.jobs.push_back(std::move(job));
  const bool enough = p.idle >= p.jobs.size();
  lock.unlock();
  if (!enough) std::thread([&p] { p.loop(); }).detach();
  p.changed.notify_one();
}

}  // namespace gpusim::cudart
