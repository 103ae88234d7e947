// How copies and fills enter a stream: which of them return before they are done.
#include "cudart/api.hpp"
#include "cudart/capture.hpp"
#include "cudart/copy.hpp"

namespace gpusim::cudart {
namespace {

/// Up to here the source of an asynchronous copy from pageable memory is read at once and the call
/// returns; beyond, it waits. Both are what the real library may do.
constexpr std::size_t kStagingLimit = 1 << 20;

void submit(const StreamPointer& stream, const OperationPointer& operation, bool wait) {
  CompletionPointer done;
  const cudaError_t error = enqueue(stream, operation, {}, &done);
  require(error == cudaSuccess, error);
  if (!wait || done == nullptr) return;
  wait_for(done);
  require(Runtime::instance().sticky() == cudaSuccess, Runtime::instance().sticky());
}

}  // namespace

void submit_copy(std::shared_ptr<CopyOperation> copy, cudaStream_t handle, bool synchronous) {
  const StreamPointer stream = Runtime::instance().stream_or_fail(handle);
  if (synchronous) {
    std::unique_lock lock(Runtime::instance().mutex);
    if (stream->capture != nullptr) refuse_captured(*stream);
    refuse_implicit_capture(*stream);
    lock.unlock();
    refuse_during_capture();
  }
  if (copy == nullptr) return;
  const Residence from = residence_of(copy->source().pointer);
  const Residence to = residence_of(copy->destination().pointer);
  bool wait = synchronous;
  // Between two places on devices even cudaMemcpy returns at once.
  if (synchronous && from == Residence::kDevice && to == Residence::kDevice) wait = false;
  if (!synchronous && stream->capture == nullptr) {
    const CopyExtent& extent = copy->extent();
    const bool small = extent.width * extent.height * extent.depth <= kStagingLimit;
    if (to == Residence::kPageable) {
      wait = true;
    } else if (from == Residence::kPageable) {
      if (small) {
        copy->stage();
      } else {
        wait = true;
      }
    }
  }
  submit(stream, copy, wait);
}

void submit_fill(std::shared_ptr<FillOperation> fill, cudaStream_t handle, bool synchronous) {
  const StreamPointer stream = Runtime::instance().stream_or_fail(handle);
  if (fill == nullptr) return;
  // cudaMemset is asynchronous too, except for memory of the host.
  submit(stream, fill, synchronous && residence_of(fill->parameters().dst) != Residence::kDevice);
}

}  // namespace gpusim::cudart
