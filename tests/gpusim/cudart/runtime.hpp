// The state of the library in this process: devices as the program numbers them, their streams, the
// sticky error, what the host has waited for. One lock guards all of it; it is never held while
// work runs or is waited for.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "cudart/stream.hpp"
#include "machine/machine.hpp"

namespace gpusim::cudart {

/// An error on its way to the caller of an entry point.
struct Failure {
  cudaError_t error;
};
[[noreturn]] inline void fail(cudaError_t error) {
  throw Failure{error};
}
inline void require(bool condition, cudaError_t error) {
  if (!condition) fail(error);
}

struct MemoryPool;

struct Device {
  int number = 0;    ///< as the program counts, after CUDA_VISIBLE_DEVICES
  int physical = 0;  ///< in the machine
  const DeviceModel* model = nullptr;
  bool used = false;  ///< its context was made
  unsigned flags = 0;
  StreamPointer legacy;
  std::set<Stream*> streams;  ///< all others: created ones and per-thread ones
  /// Ends of work in destroyed streams that may still run, and, of blocking ones, what it orders.
  std::vector<CompletionPointer> orphans;
  Clock orphan_clock;
  std::set<int> peers;  ///< physical numbers that its kernels may touch
  std::map<int, std::size_t> limits;
  MemoryPool* default_pool = nullptr;
  MemoryPool* pool = nullptr;
};

class Runtime {
 public:
  static Runtime& instance();

  std::mutex mutex;
  /// In the order of the program's numbers.
  std::vector<std::unique_ptr<Device>> devices;
  Clock host_clock;
  std::unordered_map<cudaStream_t, StreamPointer> streams;

  /// The device that the calling thread uses; makes its context.
  Device& current();
  Device& device(int number);  ///< fails with cudaErrorInvalidDevice
  Device* by_physical(int physical);
  void use(Device& device);

  /// The stream behind a handle, special ones included. Null for an unknown handle.
  StreamPointer stream(cudaStream_t handle);
  StreamPointer stream_or_fail(cudaStream_t handle);

  void set_sticky(cudaError_t error);
  cudaError_t sticky() const { return sticky_.load(std::memory_order_acquire); }
  bool forked() const { return forked_; }
  /// cudaErrorInsufficientDriver or cudaErrorNoDevice where nothing can work.
  cudaError_t unusable() const { return unusable_; }

  /// The host waited for this.
  void join_host(const Clock& clock);
  /// Takes a stream out of use; its work goes on. The lock is held.
  void retire(Stream& stream);

 private:
  Runtime();
  std::atomic<cudaError_t> sticky_{cudaSuccess};
  bool forked_ = false;
  cudaError_t unusable_ = cudaSuccess;
};

/// Per thread.
struct ThreadState {
  int device = 0;
  cudaError_t last_error = cudaSuccess;
  bool per_thread_default = false;  ///< inside a _ptsz or _ptds call
  cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;
  std::map<int, StreamPointer> default_streams;  ///< cudaStreamPerThread, by device number
  ~ThreadState();
};
ThreadState& thread_state();

/// While it lives, the null stream means the calling thread's own default stream.
class PerThreadScope {
 public:
  PerThreadScope() : before_(thread_state().per_thread_default) {
    thread_state().per_thread_default = true;
  }
  ~PerThreadScope() { thread_state().per_thread_default = before_; }

 private:
  bool before_;
};

/// A line on stderr that says why a call failed; once per text.
void explain(const std::string& text);

/// Puts an operation behind the work of a stream, or into its capture. Waits for `waits` first.
/// The end of the work goes to `done`; null while capturing.
cudaError_t enqueue(const StreamPointer& stream, OperationPointer operation,
                    std::vector<CompletionPointer> waits = {}, CompletionPointer* done = nullptr);
/// The same, never into a capture; the lock is held. For events and graphs.
CompletionPointer enqueue_locked(Stream& stream, OperationPointer operation,
                                 std::vector<CompletionPointer> waits,
                                 const Clock* clock_inside = nullptr);
/// What work put into `stream` now waits for by the rules of the default stream, and what that
/// orders. The lock is held.
std::vector<CompletionPointer> implicit_waits(Stream& stream);
Clock clock_before(Stream& stream, const std::vector<CompletionPointer>& waits);
/// The host waits for all earlier work of a stream, or of a device.
cudaError_t wait_for(const StreamPointer& stream);
cudaError_t wait_for(Device& device);
void wait_for(const CompletionPointer& completion);

}  // namespace gpusim::cudart
