// Streams and events of a GPU. Host functions run on a thread of CUDA's, in the stream's order;
// what they throw is kept for synchronize(). Within a recording they become host nodes, which run
// again at each replay.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <deque>
#include <exception>
#include <mutex>
#include <vector>

#include "ops/device/device.hpp"

namespace ingot::cuda {

class CudaDevice;

class CudaEvent final : public Event {
 public:
  /// `origin` is an event that was reached at the steady clock's `origin_seconds`.
  CudaEvent(cudaEvent_t origin, double origin_seconds);
  ~CudaEvent() override;
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;

  bool done() const override;
  void synchronize() override;
  double seconds() const override;
  double seconds_since(const Event& earlier) const override;

  cudaEvent_t native() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
  cudaEvent_t origin_;
  double origin_seconds_;
};

class CudaStream final : public Stream {
 public:
  CudaStream(CudaDevice& device, bool urgent);
  /// Waits for its work.
  ~CudaStream() override;
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  Device& device() override;
  void call(HostFunction function, void* context) override;
  void record(Event& event) override;
  void mark(Event& event) override;
  void wait(Event& event) override;
  void synchronize() override;
  void throw_error() override;
  bool recording() const override;

  cudaStream_t native() const { return stream_; }

 private:
  /// What a host function of CUDA's is given. Those of recordings live as long as the stream.
  struct Call {
    CudaStream* stream = nullptr;
    HostFunction function = nullptr;
    void* context = nullptr;
    bool recorded = false;
  };

  Call* new_call();
  static void CUDART_CB run_call(void* call);

  CudaDevice& device_;
  cudaStream_t stream_ = nullptr;
  std::mutex mutex_;
  std::deque<Call> calls_;   ///< guarded by mutex_
  std::vector<Call*> free_;  ///< guarded by mutex_
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;  ///< written once, before failed_ is set
};

}  // namespace ingot::cuda
