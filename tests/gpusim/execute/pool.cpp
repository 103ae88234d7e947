// The pool: a list of launches that want help, and threads that look at it.
#include "execute/pool.hpp"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <list>
#include <mutex>
#include <thread>

#include "execute/scheduler.hpp"

namespace gpusim::execute {
namespace {

/// A launch that helpers may join.
struct Offer {
  Launch* launch = nullptr;
  int wanted = 0;   ///< helpers that may still join
  int working = 0;  ///< helpers that have joined and not left
};

int local_ranks() {
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_NTASKS_PER_NODE"}) {
    const char* text = std::getenv(name);
    if (text != nullptr && std::atoi(text) > 0) return std::atoi(text);
  }
  return 1;
}

int worker_count(const Options& options) {
  if (options.deterministic) return 1;
  if (options.workers > 0) return options.workers;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, cores / local_ranks());
}

class Pool {
 public:
  /// Never destroyed: a launch may come from a destructor of the program. A forked child has no
  /// helpers and does the work alone.
  static Pool& instance() {
    static Pool& pool = *new Pool;
    return pool;
  }

  void run(Launch& launch, int helpers) {
    Offer offer;
    offer.launch = &launch;
    offer.wanted = helpers;
    std::list<Offer*>::iterator place;
    {
      const std::lock_guard lock(mutex_);
      start_threads(helpers);
      place = offers_.insert(offers_.end(), &offer);
    }
    wake_.notify_all();
    run_blocks(launch);
    std::unique_lock lock(mutex_);
    offers_.erase(place);
    left_.wait(lock, [&offer] { return offer.working == 0; });
  }

 private:
  void start_threads(int count) {
    if (process_ != getpid()) {
      process_ = getpid();
      threads_ = 0;
    }
    for (; threads_ < count; ++threads_) std::thread([this] { help(); }).detach();
  }

  void help() {
    std::unique_lock lock(mutex_);
    while (true) {
      Offer* found = nullptr;
      for (Offer* offer : offers_) {
        const Launch& launch = *offer->launch;
        if (offer->wanted > 0 && launch.next_block.load() * launch.cluster_blocks < launch.blocks) {
          found = offer;
          break;
        }
      }
      if (found == nullptr) {
        wake_.wait(lock);
        continue;
      }
      --found->wanted;
      ++found->working;
      lock.unlock();
      run_blocks(*found->launch);
      lock.lock();
      if (--found->working == 0) left_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, left_;
  std::list<Offer*> offers_;
  int threads_ = 0;
  pid_t process_ = getpid();
};

}  // namespace

void run_on_pool(Launch& launch) {
  const int workers = worker_count(launch.options);
  const std::uint64_t units = launch.blocks / launch.cluster_blocks;
  // A helper costs more to wake than a small launch takes.
  const bool worthwhile = units > 1 && launch.blocks * launch.threads >= 512;
  const int helpers = worthwhile ? static_cast<int>(std::min<std::uint64_t>(
                                       static_cast<std::uint64_t>(workers - 1), units - 1))
                                 : 0;
  if (helpers == 0) {
    run_blocks(launch);
  } else {
    Pool::instance().run(launch, helpers);
  }
}

}  // namespace gpusim::execute
