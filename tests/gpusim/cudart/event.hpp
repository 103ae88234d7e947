// An event: the end of what preceded its last record. Between processes it is a pair of counters
// in a shared page.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <vector>

#include "cudart/completion.hpp"
#include "cudart/graph.hpp"
#include "cudart/operation.hpp"
#include "cudart/stream.hpp"

namespace gpusim::cudart {

class CaptureSession;

/// The page behind an interprocess event.
struct SharedEvent {
  std::atomic<std::uint64_t> magic;
  std::atomic<std::uint32_t> recorded;   ///< records enqueued so far, by any process
  std::atomic<std::uint32_t> completed;  ///< the highest record whose work is done
};

struct Event {
  unsigned flags = 0;
  int device = 0;  ///< the program's number
  CompletionPointer last;
  /// Recorded in a capture: there is nothing to wait for, only nodes to depend on.
  std::weak_ptr<CaptureSession> capture;
  std::vector<GraphNode*> captured_nodes;
  bool captured = false;

  SharedEvent* shared = nullptr;
  int shared_descriptor = -1;  ///< of the exporting process, for the handle
  int exporter = 0;

  ~Event();
  bool timing() const { return (flags & cudaEventDisableTiming) == 0; }
};

using EventPointer = std::shared_ptr<Event>;
/// Fails with cudaErrorInvalidResourceHandle.
EventPointer event_of(cudaEvent_t handle);
cudaEvent_t new_event(unsigned flags);

/// Records at the end of `stream`, or into its capture.
void record(const EventPointer& event, const StreamPointer& stream, bool external);
/// Work of `stream` waits for the event's last record.
void wait(const StreamPointer& stream, const EventPointer& event, bool external);

class EventRecordOperation : public Operation {
 public:
  explicit EventRecordOperation(EventPointer event) : event_(std::move(event)) {}
  Outcome run(const RunContext&) const override { return {}; }  // the graph's run does it
  cudaGraphNodeType type() const override { return cudaGraphNodeTypeEventRecord; }
  std::string name() const override { return "event record"; }
  const EventPointer& event() const { return event_; }

 private:
  EventPointer event_;
};

class EventWaitOperation : public Operation {
 public:
  explicit EventWaitOperation(EventPointer event) : event_(std::move(event)) {}
  Outcome run(const RunContext&) const override { return {}; }  // the graph's run does it
  cudaGraphNodeType type() const override { return cudaGraphNodeTypeWaitEvent; }
  std::string name() const override { return "event wait"; }
  const EventPointer& event() const { return event_; }

 private:
  EventPointer event_;
};

}  // namespace gpusim::cudart
