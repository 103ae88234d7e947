// Capture sessions, and the calls that begin, end and inspect them.
#include "cudart/capture.hpp"

#include <algorithm>

#include "cudart/api.hpp"

namespace gpusim::cudart {

std::vector<std::shared_ptr<CaptureSession>>& active_captures() {
  static auto* all = new std::vector<std::shared_ptr<CaptureSession>>;
  return *all;
}

void CaptureSession::join(const StreamPointer& stream, const std::vector<GraphNode*>& nodes) {
  if (stream->capture == nullptr) {
    stream->capture = origin->capture;
    streams.push_back(stream);
    frontier[stream.get()] = {};
  }
  std::vector<GraphNode*>& front = frontier[stream.get()];
  for (GraphNode* node : nodes) {
    if (std::find(front.begin(), front.end(), node) == front.end()) front.push_back(node);
  }
}

GraphNode* capture_operation(Stream& stream, OperationPointer operation) {
  CaptureSession& session = *stream.capture;
  require(!session.invalid, cudaErrorStreamCaptureInvalidated);
  std::vector<GraphNode*>& front = session.frontier[&stream];
  GraphNode* node = session.graph->add(std::move(operation), front);
  front = {node};
  return node;
}

void refuse_implicit_capture(Stream& stream) {
  Device& device = stream.device();
  if (&stream != device.legacy.get()) return;
  bool refused = false;
  for (Stream* other : device.streams) {
    if (!other->blocking() || other->capture == nullptr) continue;
    other->capture->invalid = true;
    refused = true;
  }
  require(!refused, cudaErrorStreamCaptureImplicit);
}

void refuse_captured(Stream& stream) {
  stream.capture->invalid = true;
  fail(cudaErrorStreamCaptureUnsupported);
}

namespace {

std::uint64_t captures_made = 0;

Runtime& runtime() {
  return Runtime::instance();
}

void begin(cudaStream_t handle, Graph* graph, const std::vector<GraphNode*>& dependencies,
           cudaStreamCaptureMode mode) {
  require(mode >= cudaStreamCaptureModeGlobal && mode <= cudaStreamCaptureModeRelaxed,
          cudaErrorInvalidValue);
  const StreamPointer stream = runtime().stream_or_fail(handle);
  std::lock_guard lock(runtime().mutex);
  require(stream != stream->device().legacy, cudaErrorStreamCaptureUnsupported);
  require(stream->capture == nullptr, cudaErrorIllegalState);
  auto session = std::make_shared<CaptureSession>();
  session->id = ++captures_made;
  session->into_given_graph = graph != nullptr;
  session->graph = graph != nullptr ? graph : new_graph();
  session->mode = mode;
  session->thread = std::this_thread::get_id();
  session->origin = stream;
  session->streams.push_back(stream);
  session->frontier[stream.get()] = dependencies;
  stream->capture = session;
  active_captures().push_back(session);
}

/// Is every node of `nodes` one of `front` or something that one of them depends on?
bool joined(const std::vector<GraphNode*>& front, const std::vector<GraphNode*>& nodes) {
  std::vector<GraphNode*> open = front;
  std::vector<GraphNode*> seen;
  while (!open.empty()) {
    GraphNode* node = open.back();
    open.pop_back();
    if (std::find(seen.begin(), seen.end(), node) != seen.end()) continue;
    seen.push_back(node);
    open.insert(open.end(), node->dependencies.begin(), node->dependencies.end());
  }
  return std::all_of(nodes.begin(), nodes.end(), [&](GraphNode* node) {
    return std::find(seen.begin(), seen.end(), node) != seen.end();
  });
}

/// Ends the session in all its streams; the graph, or why there is none.
cudaError_t end(const StreamPointer& stream, cudaGraph_t* result) {
  const std::shared_ptr<CaptureSession> session = stream->capture;
  cudaError_t error = cudaSuccess;
  if (session->origin != stream) {
    session->invalid = true;
    return cudaErrorStreamCaptureUnmatched;
  }
  if (session->mode != cudaStreamCaptureModeRelaxed &&
      session->thread != std::this_thread::get_id()) {
    return cudaErrorStreamCaptureWrongThread;
  }
  if (session->invalid) {
    error = cudaErrorStreamCaptureInvalidated;
  } else {
    const auto& front = session->frontier[stream.get()];
    for (const StreamPointer& other : session->streams) {
      if (!joined(front, session->frontier[other.get()])) error = cudaErrorStreamCaptureUnjoined;
    }
  }
  for (const StreamPointer& other : session->streams) other->capture = nullptr;
  auto& all = active_captures();
  all.erase(std::find(all.begin(), all.end(), session));
  if (error == cudaSuccess) {
    if (result != nullptr) *result = session->graph->handle();
  } else if (!session->into_given_graph) {
    delete_graph(session->graph);
  }
  return error;
}

}  // namespace
}  // namespace gpusim::cudart

using namespace gpusim;
using namespace gpusim::cudart;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return api("cudaStreamBeginCapture", [&] { begin(stream, nullptr, {}, mode); });
}

cudaError_t cudaStreamBeginCaptureToGraph(cudaStream_t stream, cudaGraph_t graph,
                                          const cudaGraphNode_t* dependencies,
                                          const cudaGraphEdgeData*, size_t count,
                                          cudaStreamCaptureMode mode) {
  return api("cudaStreamBeginCaptureToGraph", [&] {
    require(count == 0 || dependencies != nullptr, cudaErrorInvalidValue);
    Graph& target = graph_of(graph);
    std::vector<GraphNode*> nodes;
    for (size_t i = 0; i < count; ++i) nodes.push_back(&node_of(dependencies[i]));
    begin(stream, &target, nodes, mode);
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  return api_result("cudaStreamEndCapture", [&] {
    if (graph != nullptr) *graph = nullptr;
    const StreamPointer stream = runtime().stream_or_fail(handle);
    std::lock_guard lock(runtime().mutex);
    require(stream->capture != nullptr, cudaErrorIllegalState);
    return end(stream, graph);
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return api("cudaStreamIsCapturing", [&] {
    require(status != nullptr, cudaErrorInvalidValue);
    const StreamPointer stream = runtime().stream_or_fail(handle);
    std::lock_guard lock(runtime().mutex);
    refuse_implicit_capture(*stream);
    *status = stream->capture == nullptr ? cudaStreamCaptureStatusNone
              : stream->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                         : cudaStreamCaptureStatusActive;
  });
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t handle, cudaStreamCaptureStatus* status,
                                     unsigned long long* id, cudaGraph_t* graph,
                                     const cudaGraphNode_t** dependencies,
                                     const cudaGraphEdgeData** edges, size_t* count) {
  return api("cudaStreamGetCaptureInfo", [&] {
    require(status != nullptr, cudaErrorInvalidValue);
    const StreamPointer stream = runtime().stream_or_fail(handle);
    std::lock_guard lock(runtime().mutex);
    refuse_implicit_capture(*stream);
    if (graph != nullptr) *graph = nullptr;
    if (dependencies != nullptr) *dependencies = nullptr;
    if (edges != nullptr) *edges = nullptr;
    if (count != nullptr) *count = 0;
    *status = cudaStreamCaptureStatusNone;
    if (stream->capture == nullptr) return;
    CaptureSession& session = *stream->capture;
    *status = session.invalid ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
    if (session.invalid) return;
    if (id != nullptr) *id = session.id;
    if (graph != nullptr) *graph = session.graph->handle();
    // Nodes are their own handles, so the frontier is the array that is asked for.
    static thread_local std::vector<cudaGraphNode_t> nodes;
    nodes.clear();
    for (GraphNode* node : session.frontier[stream.get()]) nodes.push_back(node->handle());
    if (dependencies != nullptr) *dependencies = nodes.data();
    if (count != nullptr) *count = nodes.size();
  });
}

cudaError_t cudaStreamUpdateCaptureDependencies(cudaStream_t handle, cudaGraphNode_t* dependencies,
                                                const cudaGraphEdgeData*, size_t count,
                                                unsigned flags) {
  return api("cudaStreamUpdateCaptureDependencies", [&] {
    require(count == 0 || dependencies != nullptr, cudaErrorInvalidValue);
    require(flags <= cudaStreamSetCaptureDependencies, cudaErrorInvalidValue);
    const StreamPointer stream = runtime().stream_or_fail(handle);
    std::vector<GraphNode*> nodes;
    for (size_t i = 0; i < count; ++i) nodes.push_back(&node_of(dependencies[i]));
    std::lock_guard lock(runtime().mutex);
    require(stream->capture != nullptr, cudaErrorIllegalState);
    require(!stream->capture->invalid, cudaErrorStreamCaptureInvalidated);
    if (flags == cudaStreamSetCaptureDependencies) stream->capture->frontier[stream.get()].clear();
    stream->capture->join(stream, nodes);
  });
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return api("cudaThreadExchangeStreamCaptureMode", [&] {
    require(mode != nullptr && *mode >= cudaStreamCaptureModeGlobal &&
                *mode <= cudaStreamCaptureModeRelaxed,
            cudaErrorInvalidValue);
    std::swap(*mode, thread_state().capture_mode);
  });
}

}  // extern "C"
