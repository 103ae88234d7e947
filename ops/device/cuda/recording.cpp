#include "ops/device/cuda/recording.hpp"

#include <nvtx3/nvToolsExt.h>

#include <utility>

#include "ops/device/cuda/check.hpp"
#include "ops/device/cuda/cuda_device.hpp"

namespace ingot::cuda {
namespace {

/// Ends the capture whatever happens, and owns the graph until it is instantiated.
class Capture {
 public:
  explicit Capture(cudaStream_t origin) : origin_(origin) {
    // Relaxed: ingot's own calls from other threads, such as those that wait, stay allowed.
    check(cudaStreamBeginCapture(origin, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  }
  ~Capture() {
    if (origin_ != nullptr) {
      (void)cudaStreamEndCapture(origin_, &graph_);
      (void)cudaGetLastError();  // why it ends has been reported
    }
    if (graph_ != nullptr) (void)cudaGraphDestroy(graph_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  cudaGraph_t end() {
    check(cudaStreamEndCapture(std::exchange(origin_, nullptr), &graph_), "cudaStreamEndCapture");
    return graph_;
  }

 private:
  cudaStream_t origin_;
  cudaGraph_t graph_ = nullptr;
};

}  // namespace

GraphRecording::GraphRecording(cudaStream_t origin, std::string name,
                               const std::function<void()>& enqueue)
    : name_(std::move(name)) {
  Capture capture(origin);
  enqueue();
  check(cudaGraphInstantiate(&graph_, capture.end(), 0), "cudaGraphInstantiate", name_);
}

GraphRecording::~GraphRecording() {
  (void)cudaGraphExecDestroy(graph_);
}

void GraphRecording::replay(Stream& stream) {
  nvtxRangePushA(name_.c_str());
  const cudaError_t code = cudaGraphLaunch(graph_, native(stream));
  nvtxRangePop();
  check(code, "cudaGraphLaunch", name_);
}

}  // namespace ingot::cuda
