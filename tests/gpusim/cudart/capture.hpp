// Recording of stream work into a graph. A session begins in one stream; other streams join it by
// waiting for an event that was recorded in it, and must be joined back before it ends.
#pragma once

#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cudart/graph.hpp"
#include "cudart/runtime.hpp"

namespace gpusim::cudart {

class CaptureSession {
 public:
  std::uint64_t id = 0;
  Graph* graph = nullptr;
  bool into_given_graph = false;  ///< cudaStreamBeginCaptureToGraph
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  StreamPointer origin;
  bool invalid = false;
  /// What the next node of each stream depends on.
  std::unordered_map<Stream*, std::vector<GraphNode*>> frontier;
  std::vector<StreamPointer> streams;

  void join(const StreamPointer& stream, const std::vector<GraphNode*>& nodes);
};

/// All of these: the runtime's lock is held.
std::vector<std::shared_ptr<CaptureSession>>& active_captures();
/// Adds a node behind the frontier of a capturing stream.
GraphNode* capture_operation(Stream& stream, OperationPointer operation);
/// Fails where work in `stream` would make the legacy stream depend on a capture.
void refuse_implicit_capture(Stream& stream);
/// The handle's stream is being captured: the call is not supported there and ends the capture.
void refuse_captured(Stream& stream);

}  // namespace gpusim::cudart
