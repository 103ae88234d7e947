#include "ops/device/cuda/recording.hpp"

#include <utility>
#include <vector>

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

RecordedWork count_nodes(cudaGraph_t graph) {
  std::size_t count = 0;
  check(cudaGraphGetNodes(graph, nullptr, &count), "cudaGraphGetNodes");
  std::vector<cudaGraphNode_t> nodes(count);
  check(cudaGraphGetNodes(graph, nodes.data(), &count), "cudaGraphGetNodes");
  RecordedWork work;
  work.nodes = static_cast<std::int64_t>(count);
  for (cudaGraphNode_t node : nodes) {
    cudaGraphNodeType type{};
    check(cudaGraphNodeGetType(node, &type), "cudaGraphNodeGetType");
    work.kernels += type == cudaGraphNodeTypeKernel ? 1 : 0;
    work.copies += type == cudaGraphNodeTypeMemcpy ? 1 : 0;
    work.fills += type == cudaGraphNodeTypeMemset ? 1 : 0;
    work.host_functions += type == cudaGraphNodeTypeHost ? 1 : 0;
  }
  return work;
}

}  // namespace

GraphRecording::GraphRecording(cudaStream_t origin, std::string name,
                               const std::function<void()>& enqueue)
    : name_(std::move(name)) {
  Capture capture(origin);
  enqueue();
  cudaGraph_t graph = capture.end();
  work_ = count_nodes(graph);
  check(cudaGraphInstantiate(&graph_, graph, 0), "cudaGraphInstantiate", name_);
}

GraphRecording::~GraphRecording() {
  (void)cudaGraphExecDestroy(graph_);
}

void GraphRecording::replay(Stream& stream) {
  const NamedRange range(stream.device(), name_);
  check(cudaGraphLaunch(graph_, native(stream)), "cudaGraphLaunch", name_);
}

}  // namespace ingot::cuda
