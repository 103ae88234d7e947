// A stream: a queue and, from the first work on, a thread that runs it and sleeps when idle. Work
// waits for the ends of other work (events, the default stream) on that thread, never on the
// host's.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "cudart/completion.hpp"
#include "cudart/operation.hpp"

namespace gpusim::cudart {

class CaptureSession;
struct Device;

struct Task {
  OperationPointer operation;
  std::vector<CompletionPointer> waits;
  CompletionPointer done;
  std::shared_ptr<const OrderedWork> place;  ///< null where the order is not checked
  std::int64_t enqueued = 0;                 ///< see peer_now
};

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(Device& device, unsigned flags, int priority, std::string name);
  ~Stream();

  Device& device() const { return device_; }
  unsigned flags() const { return flags_; }
  bool blocking() const { return (flags_ & cudaStreamNonBlocking) == 0; }
  int priority() const { return priority_; }
  const std::string& name() const { return name_; }
  std::uint64_t id() const { return id_; }
  std::uint32_t timeline() const { return timeline_; }
  cudaStream_t handle();

  /// Callers hold the runtime's lock, so that queue order is the order of the calls.
  void push(Task task);
  /// With GPUSIM_DETERMINISTIC: runs what is queued on the calling thread, the lock not held.
  void run_inline();
  /// The thread ends once the queue is empty. The object lives until then.
  void close();

  // Under the runtime's lock:
  CompletionPointer last;   ///< end of the last work; null before any
  Clock clock;              ///< of the last work
  std::uint64_t count = 0;  ///< pieces of work so far
  std::shared_ptr<CaptureSession> capture;
  cudaAccessPolicyWindow access_policy = {};
  cudaSynchronizationPolicy synchronization = cudaSyncPolicyAuto;

 private:
  void loop();
  void perform(const Task& task);
  void delay();

  Device& device_;
  unsigned flags_;
  int priority_;
  std::string name_;
  std::uint64_t id_;
  std::uint32_t timeline_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> queue_;
  bool started_ = false, closing_ = false, running_inline_ = false;
  std::mt19937_64 random_;
};

using StreamPointer = std::shared_ptr<Stream>;

/// Runs one operation and deals with its outcome: a fault becomes the sticky error, accesses go to
/// the check of the order. Used by streams and by graphs.
void perform(const Operation& operation, const RunContext& context,
             const std::shared_ptr<const OrderedWork>& place);

}  // namespace gpusim::cudart
