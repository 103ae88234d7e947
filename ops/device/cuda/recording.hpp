// A CUDA graph captured from streams. It holds copies of the kernels' arguments: addresses and
// shapes are fixed when it is made, and what varies is read from device memory.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <string>

#include "ops/device/recorded_work.hpp"

namespace ingot::cuda {

class GraphRecording final : public CountedRecording {
 public:
  /// Captures what `enqueue` does on `origin` and on the streams that fork from and join it. An
  /// exception of `enqueue` ends the capture and is passed on.
  GraphRecording(cudaStream_t origin, std::string name, const std::function<void()>& enqueue);
  ~GraphRecording() override;
  GraphRecording(const GraphRecording&) = delete;
  GraphRecording& operator=(const GraphRecording&) = delete;

  void replay(Stream& stream) override;
  RecordedWork work() const override { return work_; }

 private:
  std::string name_;
  RecordedWork work_;
  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace ingot::cuda
