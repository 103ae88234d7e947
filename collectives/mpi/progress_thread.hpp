// The one thread of a rank that calls MPI. It advances the posted transfers without ever blocking
// in MPI: while nothing moves it yields, then sleeps for up to a tenth of a millisecond, so that it
// takes little from the threads that compute on the same cores.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "collectives/mpi/transfer.hpp"
#include "ops/base/error.hpp"
#include "ops/device/cpu/sequence.hpp"

namespace ingot::mpi {

/// What else the progress thread looks after, beside transfers.
class Mailbox {
 public:
  virtual ~Mailbox() = default;
  /// Does what can be done at once; true if anything moved. Runs on the progress thread.
  virtual bool poll() = 0;
};

class ProgressThread {
 public:
  /// Runs `start` on the new thread and returns when it has; throws what it throws. `finish` runs
  /// on the thread last. A transfer that does not move for `timeout` fails with kTimeout; zero
  /// waits for ever. A `start` that takes longer ends the process with that code.
  ProgressThread(const std::function<void()>& start, std::function<void()> finish,
                 std::chrono::duration<double> timeout);
  /// Finishes what was posted.
  ~ProgressThread();
  ProgressThread(const ProgressThread&) = delete;
  ProgressThread& operator=(const ProgressThread&) = delete;

  /// Starts a transfer, from any thread. It must live until wait() for it has returned.
  void post(Transfer& transfer);
  /// Blocks until the transfer is complete; throws its error, once that was told to whoever
  /// set_failed() names.
  void wait(Transfer& transfer);
  /// Ends the job with MPI_Abort.
  [[noreturn]] void abort(int exit_code);

  /// The timeout from now on. Once a watchdog looks after the job, there is none here: it knows who
  /// hangs and where.
  void set_timeout(std::chrono::duration<double> timeout) { timeout_.store(timeout.count()); }
  /// Who is told of a failed transfer, on the thread that waits for it. Of such a transfer messages
  /// may still be in flight, which MPI cannot call back once they are matched: it writes to their
  /// memory whenever they come, and peers may still read there. A job therefore ends here, without
  /// returning: what an error unwinds gives that memory back. Null: nobody.
  void set_failed(std::function<void(const Error&)> failed);
  /// Looks after this one from now on, in place of the one before; null: none. That one is not used
  /// any more when the call returns.
  void set_mailbox(Mailbox* mailbox);
  /// Lets the mailbox be polled soon.
  void nudge();

  /// Told once how many processes share the cores, since yielding is for those with a core each.
  void set_processes_on_node(int processes);

 private:
  void run_until_stopped();
  void poll_mailbox();
  bool advance_all();
  void check_timeouts();
  void complete(std::size_t index, std::exception_ptr error);
  void back_off(int idle_rounds, std::uint32_t seen);

  std::function<void()> finish_;
  std::atomic<double> timeout_;  ///< seconds
  std::mutex mutex_;
  std::vector<Transfer*> posted_;  ///< guarded by mutex_
  std::uint32_t posts_ = 0;        ///< guarded by mutex_
  cpu::Sequence news_;             ///< counts posts, the stop and aborts
  std::atomic<bool> stopping_{false};
  std::atomic<int> abort_code_{0};
  std::atomic<bool> may_yield_{false};
  std::mutex failed_mutex_;
  std::function<void(const Error&)> failed_;  ///< guarded by failed_mutex_
  std::mutex mailbox_mutex_;
  Mailbox* mailbox_ = nullptr;  ///< guarded by mailbox_mutex_, which is held while it is polled
  std::atomic<bool> has_mailbox_{false};
  std::atomic<bool> nudged_{false};
  std::chrono::steady_clock::time_point polled_;  ///< of the progress thread, as the following
  std::chrono::steady_clock::time_point mail_moved_;
  std::uint32_t rounds_ = 0;
  std::vector<Transfer*> active_;
  std::thread thread_;
};

}  // namespace ingot::mpi
