// What an ncclComm_t points to. Work in streams shares the state behind it and may outlive it.
#pragma once

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "nccl/arithmetic.hpp"
#include "nccl/mesh.hpp"

namespace gpusim::nccl {

/// Shared by a communicator, its initialisation and its work in streams.
class CommunicatorState {
 public:
  CommunicatorState(int communicator_rank, int communicator_ranks, int communicator_device)
      : rank(communicator_rank), ranks(communicator_ranks), device(communicator_device) {}

  const int rank;
  const int ranks;
  const int device;  ///< number in the machine
  /// Null until the ranks have found each other.
  std::shared_ptr<Mesh> mesh() const;
  void set_mesh(std::shared_ptr<Mesh> mesh);

  ncclResult_t result() const { return result_.load(std::memory_order_acquire); }
  void set_result(ncclResult_t result) { result_.store(result, std::memory_order_release); }
  /// An asynchronous error: the first one stays.
  void fail(ncclResult_t result, const std::string& text);
  std::string last_error() const;
  void explain(const std::string& text);

  /// Ends the initialisation and all work, now and later.
  void abort();
  /// Work put into streams, and its end; waiting for all of it.
  void begin_work();
  void end_work();
  void wait_for_work();
  /// Waits for work, then tells the peers that this rank leaves; once.
  void leave();
  const std::atomic<bool>& aborted() const { return aborted_; }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<Mesh> mesh_;  ///< guarded by mutex_
  std::string last_error_;      ///< guarded by mutex_
  std::condition_variable idle_;
  std::int64_t working_ = 0;  ///< guarded by mutex_
  bool left_ = false;         ///< guarded by mutex_
  std::atomic<ncclResult_t> result_{ncclInProgress};
  std::atomic<bool> aborted_{false};
};

}  // namespace gpusim::nccl

struct ncclComm {
  static constexpr std::uint32_t kMagic = 0x6e63636c;
  std::uint32_t magic = kMagic;
  int device = 0;          ///< number in the machine
  int program_device = 0;  ///< number as the program counts
  bool blocking = true;
  std::shared_ptr<gpusim::nccl::CommunicatorState> state;
  std::thread initialisation;  ///< of a non-blocking one

  // Of the threads that make calls, one at a time.
  std::uint64_t calls = 0;    ///< so far, of all kinds
  std::uint64_t shrinks = 0;  ///< calls of ncclCommShrink
  bool revoked = false;
  std::uint64_t collectives = 0;                      ///< calls that all ranks make
  std::vector<std::uint64_t> sends;                   ///< so far, by peer
  std::vector<std::uint64_t> receives;                ///< so far, by peer
  std::map<int, gpusim::nccl::Reduction> reductions;  ///< made by ncclRedOpCreatePreMulSum
  int next_reduction = ncclNumOps;
  std::map<void*, std::uint64_t> registered;  ///< handle -> address
};

namespace gpusim::nccl {

/// The communicator's device is the current one meanwhile: null streams and events are of it.
class DeviceScope {
 public:
  explicit DeviceScope(const ncclComm& communicator) {
    cudaGetDevice(&before_);
    cudaSetDevice(communicator.program_device);
  }
  ~DeviceScope() { cudaSetDevice(before_); }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int before_ = 0;
};

bool is_communicator(const ncclComm* communicator);

/// The text of a failed call, for ncclGetLastError(NULL) and, with NCCL_DEBUG=WARN or more, for the
/// log. Returns `result`.
ncclResult_t refuse(ncclComm* communicator, ncclResult_t result, const std::string& text);
const char* last_refusal();

/// Blocking: connects the ranks; the state's result says how it went. `call`: for the log.
void initialise(const std::shared_ptr<CommunicatorState>& state, const ncclUniqueId& id,
                const char* call);

}  // namespace gpusim::nccl
