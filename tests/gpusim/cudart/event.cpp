// Events. A record is a piece of work of its own in the stream, so that its time is when it was
// reached; waiting for an event is a condition of the next piece of work.
#include "cudart/event.hpp"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <unordered_map>

#include "check/peer_order.hpp"
#include "cudart/api.hpp"
#include "cudart/capture.hpp"

namespace gpusim::cudart {
namespace {

std::unordered_map<cudaEvent_t, EventPointer>& events() {
  static auto* all = new std::unordered_map<cudaEvent_t, EventPointer>;
  return *all;
}

void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t seen) {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAIT, seen, nullptr, nullptr,
          0);
}

void futex_wake(std::atomic<std::uint32_t>& word) {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAKE, 1 << 30, nullptr, nullptr,
          0);
}

/// Counters wrap; what is ahead by less than half of the range is later.
bool reached(std::uint32_t completed, std::uint32_t wanted) {
  return static_cast<std::int32_t>(completed - wanted) >= 0;
}

void complete_shared(SharedEvent& shared, std::uint32_t number) {
  std::uint32_t seen = shared.completed.load();
  while (!reached(seen, number) && !shared.completed.compare_exchange_weak(seen, number)) {
  }
  futex_wake(shared.completed);
}

/// Joins the stream to the capture that the event was recorded in.
void wait_captured(const StreamPointer& stream, const EventPointer& event) {
  auto session = event->capture.lock();
  require(session != nullptr && !session->invalid, cudaErrorStreamCaptureInvalidated);
  if (stream->capture != nullptr && stream->capture != session) {
    stream->capture->invalid = true;
    session->invalid = true;
    fail(cudaErrorStreamCaptureMerge);
  }
  session->join(stream, event->captured_nodes);
}

}  // namespace

Event::~Event() {
  if (shared != nullptr) munmap(shared, sizeof(SharedEvent));
  if (shared_descriptor >= 0 && exporter == getpid()) close(shared_descriptor);
}

cudaEvent_t new_event(unsigned flags) {
  auto event = std::make_shared<Event>();
  event->flags = flags;
  event->device = Runtime::instance().current().number;
  auto handle = reinterpret_cast<cudaEvent_t>(event.get());
  std::lock_guard lock(Runtime::instance().mutex);
  events()[handle] = event;
  return handle;
}

EventPointer event_of(cudaEvent_t handle) {
  std::lock_guard lock(Runtime::instance().mutex);
  auto found = events().find(handle);
  require(found != events().end(), cudaErrorInvalidResourceHandle);
  return found->second;
}

void record(const EventPointer& event, const StreamPointer& stream, bool external) {
  Runtime& runtime = Runtime::instance();
  {
    std::lock_guard lock(runtime.mutex);
    if (stream->capture != nullptr && external) {
      capture_operation(*stream, std::make_shared<EventRecordOperation>(event));
      return;
    }
    if (stream->capture != nullptr) {
      require(!stream->capture->invalid, cudaErrorStreamCaptureInvalidated);
      event->captured = true;
      event->capture = stream->capture;
      event->captured_nodes = stream->capture->frontier[stream.get()];
      return;
    }
    require(event->device == stream->device().number, cudaErrorInvalidResourceHandle);
    refuse_implicit_capture(*stream);
    event->captured = false;
    event->captured_nodes.clear();
    OperationPointer marker = std::make_shared<EmptyOperation>();
    if (event->shared != nullptr) {
      const std::uint32_t number = event->shared->recorded.fetch_add(1) + 1;
      marker = std::make_shared<FunctionOperation>("event record", [event, number] {
        peer_host_waited();
        complete_shared(*event->shared, number);
        return Outcome{};
      });
    }
    event->last = enqueue_locked(*stream, marker, {});
  }
  if (options().deterministic) stream->run_inline();
}

void wait(const StreamPointer& stream, const EventPointer& event, bool external) {
  Runtime& runtime = Runtime::instance();
  {
    std::lock_guard lock(runtime.mutex);
    if (stream->capture != nullptr && external) {
      capture_operation(*stream, std::make_shared<EventWaitOperation>(event));
      return;
    }
    if (event->captured) {
      wait_captured(stream, event);
      return;
    }
    if (stream->capture != nullptr) {
      // What was recorded outside the capture cannot be a dependency inside.
      stream->capture->invalid = true;
      fail(cudaErrorStreamCaptureIsolation);
    }
    refuse_implicit_capture(*stream);
    if (event->shared != nullptr) {
      const std::uint32_t wanted = event->shared->recorded.load();
      if (reached(event->shared->completed.load(), wanted) && event->last == nullptr) return;
      std::vector<CompletionPointer> waits;
      if (event->last != nullptr) waits.push_back(event->last);
      auto operation = std::make_shared<FunctionOperation>("event wait", [event, wanted] {
        SharedEvent& shared = *event->shared;
        for (std::uint32_t seen = shared.completed.load(); !reached(seen, wanted);
             seen = shared.completed.load()) {
          futex_wait(shared.completed, seen);
        }
        peer_joined_others();
        return Outcome{};
      });
      enqueue_locked(*stream, operation, std::move(waits));
    } else if (event->last != nullptr) {
      enqueue_locked(*stream, std::make_shared<EmptyOperation>(), {event->last});
    }
  }
  if (options().deterministic) stream->run_inline();
}

namespace {

/// Null: nothing to wait for. Fails for an event that only a capture knows.
CompletionPointer last_of(const EventPointer& event) {
  std::lock_guard lock(Runtime::instance().mutex);
  if (event->captured) {
    if (auto session = event->capture.lock()) session->invalid = true;
    fail(cudaErrorCapturedEvent);
  }
  return event->last;
}

bool shared_done(const EventPointer& event) {
  return event->shared == nullptr ||
         reached(event->shared->completed.load(), event->shared->recorded.load());
}

}  // namespace
}  // namespace gpusim::cudart

using namespace gpusim;
using namespace gpusim::cudart;

extern "C" {

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* result, unsigned flags) {
  return api("cudaEventCreateWithFlags", [&] {
    require(result != nullptr && flags <= 7, cudaErrorInvalidValue);
    const bool interprocess = (flags & cudaEventInterprocess) != 0;
    require(!interprocess || (flags & cudaEventDisableTiming) != 0, cudaErrorInvalidValue);
    *result = new_event(flags);
    if (!interprocess) return;
    const EventPointer event = event_of(*result);
    event->shared_descriptor = memfd_create("gpusim event", MFD_CLOEXEC);
    require(event->shared_descriptor >= 0 &&
                ftruncate(event->shared_descriptor, sizeof(SharedEvent)) == 0,
            cudaErrorOperatingSystem);
    void* page = mmap(nullptr, sizeof(SharedEvent), PROT_READ | PROT_WRITE, MAP_SHARED,
                      event->shared_descriptor, 0);
    require(page != MAP_FAILED, cudaErrorOperatingSystem);
    event->shared = static_cast<SharedEvent*>(page);
    event->exporter = getpid();
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* result) {
  return cudaEventCreateWithFlags(result, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  return api("cudaEventDestroy", [&] {
    event_of(handle);
    std::lock_guard lock(Runtime::instance().mutex);
    events().erase(handle);
  });
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t handle, cudaStream_t stream, unsigned flags) {
  return api("cudaEventRecordWithFlags", [&] {
    require((flags & ~unsigned{cudaEventRecordExternal}) == 0, cudaErrorInvalidValue);
    record(event_of(handle), Runtime::instance().stream_or_fail(stream),
           (flags & cudaEventRecordExternal) != 0);
  });
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream) {
  return cudaEventRecordWithFlags(handle, stream, cudaEventRecordDefault);
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  return api_result("cudaEventQuery", [&] {
    const EventPointer event = event_of(handle);
    const CompletionPointer last = last_of(event);
    refuse_during_capture();
    if (!shared_done(event) || (last != nullptr && !last->ready())) return cudaErrorNotReady;
    if (last != nullptr) Runtime::instance().join_host(last->clock);
    return Runtime::instance().sticky();
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  return api_result("cudaEventSynchronize", [&] {
    const EventPointer event = event_of(handle);
    const CompletionPointer last = last_of(event);
    refuse_during_capture();
    wait_for(last);
    if (event->shared != nullptr) {
      const std::uint32_t wanted = event->shared->recorded.load();
      for (std::uint32_t seen = event->shared->completed.load(); !reached(seen, wanted);
           seen = event->shared->completed.load()) {
        futex_wait(event->shared->completed, seen);
      }
      peer_joined_others();
    }
    return Runtime::instance().sticky();
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return api_result("cudaEventElapsedTime", [&] {
    require(milliseconds != nullptr, cudaErrorInvalidValue);
    const EventPointer a = event_of(start);
    const EventPointer b = event_of(end);
    const CompletionPointer from = last_of(a);
    const CompletionPointer to = last_of(b);
    require(
        from != nullptr && to != nullptr && a->timing() && b->timing() && a->device == b->device,
        cudaErrorInvalidResourceHandle);
    if (!from->ready() || !to->ready()) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(to->when() - from->when()).count();
    return Runtime::instance().sticky();
  });
}

}  // extern "C"
