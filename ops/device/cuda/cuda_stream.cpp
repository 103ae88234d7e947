#include "ops/device/cuda/cuda_stream.hpp"

#include <chrono>
#include <typeinfo>

#include "ops/device/cuda/check.hpp"
#include "ops/device/cuda/cuda_device.hpp"

namespace ingot::cuda {
namespace {

/// Host functions that may wait to be run before objects for more are allocated.
constexpr std::size_t kPreparedCalls = 64;

const CudaEvent& cuda_event(const Event& event) {
  ensure(typeid(event) == typeid(CudaEvent), "an event of the CUDA device");
  return static_cast<const CudaEvent&>(event);
}

double elapsed(cudaEvent_t from, cudaEvent_t to) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, from, to), "cudaEventElapsedTime");
  return static_cast<double>(milliseconds) * 1e-3;
}

}  // namespace

CudaEvent::CudaEvent(cudaEvent_t origin, double origin_seconds)
    : origin_(origin), origin_seconds_(origin_seconds) {
  check(cudaEventCreateWithFlags(&event_, cudaEventDefault), "cudaEventCreateWithFlags");
}

CudaEvent::~CudaEvent() {
  cudaEventDestroy(event_);
}

bool CudaEvent::done() const {
  const cudaError_t state = cudaEventQuery(event_);
  if (state == cudaErrorNotReady) {
    (void)cudaGetLastError();  // kept like an error's, for the next launch to find
    return false;
  }
  check(state, "cudaEventQuery");
  return true;
}

void CudaEvent::synchronize() {
  check(cudaEventSynchronize(event_), "cudaEventSynchronize");
}

double CudaEvent::seconds() const {
  return origin_seconds_ + elapsed(origin_, event_);
}

double CudaEvent::seconds_since(const Event& earlier) const {
  return elapsed(cuda_event(earlier).event_, event_);
}

CudaStream::CudaStream(CudaDevice& device, bool urgent) : device_(device) {
  device.make_current();
  int least = 0;
  int greatest = 0;  // priorities are negative: the greatest is the smallest number
  check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
  check(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, urgent ? greatest : least),
        "cudaStreamCreateWithPriority");
  free_.reserve(kPreparedCalls);
  for (std::size_t i = 0; i < kPreparedCalls; ++i) free_.push_back(&calls_.emplace_back());
}

CudaStream::~CudaStream() {
  // Errors were for synchronize() to report.
  (void)cudaStreamSynchronize(stream_);
  (void)cudaStreamDestroy(stream_);
}

Device& CudaStream::device() {
  return device_;
}

CudaStream::Call* CudaStream::new_call() {
  const std::scoped_lock lock(mutex_);
  if (free_.empty()) {
    calls_.emplace_back();
    free_.reserve(calls_.size());
    free_.push_back(&calls_.back());
  }
  Call* call = free_.back();
  free_.pop_back();
  return call;
}

void CudaStream::call(HostFunction function, void* context) {
  Call* call = new_call();
  *call = {this, function, context, recording()};
  check(cudaLaunchHostFunc(stream_, run_call, call), "cudaLaunchHostFunc");
}

void CudaStream::run_call(void* context) {
  auto* call = static_cast<Call*>(context);
  CudaStream& self = *call->stream;
  if (!self.failed_.load(std::memory_order_relaxed)) {
    try {
      call->function(call->context);
    } catch (...) {
      self.error_ = std::current_exception();
      self.failed_.store(true);
    }
  }
  if (call->recorded) return;
  const std::scoped_lock lock(self.mutex_);
  self.free_.push_back(call);
}

void CudaStream::record(Event& event) {
  check(cudaEventRecord(cuda_event(event).native(), stream_), "cudaEventRecord");
}

void CudaStream::mark(Event& event) {
  if (!recording()) return record(event);
  check(cudaEventRecordWithFlags(cuda_event(event).native(), stream_, cudaEventRecordExternal),
        "cudaEventRecordWithFlags");
}

void CudaStream::wait(Event& event) {
  check(cudaStreamWaitEvent(stream_, cuda_event(event).native(), cudaEventWaitDefault),
        "cudaStreamWaitEvent");
}

void CudaStream::synchronize() {
  const cudaError_t state = cudaStreamSynchronize(stream_);
  throw_error();
  check(state, "cudaStreamSynchronize");
  device_.raise_fault();
}

void CudaStream::throw_error() {
  if (failed_.load()) std::rethrow_exception(error_);
  device_.throw_if_given_up();
}

bool CudaStream::recording() const {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream_, &status), "cudaStreamIsCapturing");
  return status == cudaStreamCaptureStatusActive;
}

}  // namespace ingot::cuda
