// Devices, contexts and the enqueueing of work: where the order between streams is decided.
#include "cudart/runtime.hpp"

#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "check/peer_order.hpp"
#include "cudart/capture.hpp"
#include "cudart/exclusive.hpp"
#include "cudart/finish.hpp"
#include "execute/engine.hpp"
#include "report/traffic.hpp"

namespace gpusim::cudart {
namespace {

bool* forked_flag = nullptr;

/// CUDA_VISIBLE_DEVICES: numbers or uuids; the list ends at the first that is not there.
std::vector<int> visible_devices() {
  const auto& all = machine().devices;
  std::vector<int> result;
  const char* text = std::getenv("CUDA_VISIBLE_DEVICES");
  if (text == nullptr) {
    for (std::size_t i = 0; i < all.size(); ++i) result.push_back(static_cast<int>(i));
    return result;
  }
  std::istringstream list(text);
  std::string item;
  while (std::getline(list, item, ',')) {
    int found = -1;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (item == std::to_string(i)) found = static_cast<int>(i);
      if (item.size() >= 5 && all[i].uuid.rfind(item, 0) == 0) found = static_cast<int>(i);
    }
    if (found < 0) break;
    for (int earlier : result) {
      if (earlier == found) return {};  // named twice: the driver shows none at all
    }
    result.push_back(found);
  }
  return result;
}

}  // namespace

Runtime::Runtime() {
  for (int physical : visible_devices()) {
    auto device = std::make_unique<Device>();
    device->number = static_cast<int>(devices.size());
    device->physical = physical;
    device->model = &machine().devices[static_cast<std::size_t>(physical)];
    devices.push_back(std::move(device));
  }
  if (machine().driver_version == 0 || machine().driver_version / 1000 < CUDART_VERSION / 1000) {
    unusable_ = cudaErrorInsufficientDriver;
  } else if (devices.empty()) {
    unusable_ = cudaErrorNoDevice;
  }
  forked_flag = &forked_;
  pthread_atfork(nullptr, nullptr, [] { *forked_flag = true; });
  report_at_end();
}

Runtime& Runtime::instance() {
  static Runtime* runtime = new Runtime;
  return *runtime;
}

ThreadState& thread_state() {
  static thread_local ThreadState state;
  return state;
}

ThreadState::~ThreadState() {
  // Of the threads that end while the program runs; the last one's state goes with the process.
  Runtime& runtime = Runtime::instance();
  std::lock_guard lock(runtime.mutex);
  for (auto& [number, stream] : default_streams) {
    runtime.retire(*stream);
  }
}

Device& Runtime::device(int number) {
  require(number >= 0 && number < static_cast<int>(devices.size()), cudaErrorInvalidDevice);
  return *devices[static_cast<std::size_t>(number)];
}

Device* Runtime::by_physical(int physical) {
  for (auto& device : devices) {
    if (device->physical == physical) return device.get();
  }
  return nullptr;
}

void Runtime::use(Device& device) {
  std::lock_guard lock(mutex);
  if (device.used) return;
  if (machine().exclusive_process) {
    require(take_exclusively(device.model->uuid), cudaErrorDevicesUnavailable);
  }
  device.legacy =
      std::make_shared<Stream>(device, cudaStreamDefault, 0,
                               "the default stream of device " + std::to_string(device.number));
  device.used = true;
}

Device& Runtime::current() {
  Device& result = device(thread_state().device);
  use(result);
  return result;
}

StreamPointer Runtime::stream(cudaStream_t handle) {
  ThreadState& thread = thread_state();
  if (handle == nullptr && thread.per_thread_default) handle = cudaStreamPerThread;
  if (handle == nullptr || handle == cudaStreamLegacy) return current().legacy;
  if (handle == cudaStreamPerThread) {
    Device& here = current();
    StreamPointer& stream = thread.default_streams[here.number];
    if (stream == nullptr) {
      stream = std::make_shared<Stream>(
          here, cudaStreamDefault, 0,
          "a thread's default stream of device " + std::to_string(here.number));
      std::lock_guard lock(mutex);
      here.streams.insert(stream.get());
    }
    return stream;
  }
  std::lock_guard lock(mutex);
  auto found = streams.find(handle);
  return found == streams.end() ? nullptr : found->second;
}

StreamPointer Runtime::stream_or_fail(cudaStream_t handle) {
  StreamPointer result = stream(handle);
  require(result != nullptr, cudaErrorInvalidResourceHandle);
  return result;
}

void Runtime::set_sticky(cudaError_t error) {
  cudaError_t none = cudaSuccess;
  sticky_.compare_exchange_strong(none, error);
}

void Runtime::retire(Stream& stream) {
  Device& home = stream.device();
  home.streams.erase(&stream);
  if (stream.last != nullptr) {
    std::erase_if(home.orphans, [](const CompletionPointer& end) { return end->ready(); });
    if (!stream.last->ready()) home.orphans.push_back(stream.last);
    if (stream.blocking()) home.orphan_clock.join(stream.clock);
  }
  stream.close();
}

void Runtime::join_host(const Clock& clock) {
  peer_host_waited();
  if (!options().check_streams) return;
  std::lock_guard lock(mutex);
  host_clock.join(clock);
}

void explain(const std::string& text) {
  static std::mutex* mutex = new std::mutex;
  static std::set<std::string>* printed = new std::set<std::string>;
  std::lock_guard lock(*mutex);
  if (!printed->insert(text).second) return;
  std::fprintf(stderr, "gpusim: note: %s\n", text.c_str());
}

std::vector<CompletionPointer> implicit_waits(Stream& stream) {
  std::vector<CompletionPointer> waits;
  Device& device = stream.device();
  if (&stream == device.legacy.get()) {
    for (Stream* other : device.streams) {
      if (other->blocking() && other->last != nullptr) waits.push_back(other->last);
    }
    std::erase_if(device.orphans, [](const CompletionPointer& end) { return end->ready(); });
    waits.insert(waits.end(), device.orphans.begin(), device.orphans.end());
  } else if (stream.blocking() && device.legacy->last != nullptr) {
    waits.push_back(device.legacy->last);
  }
  return waits;
}

Clock clock_before(Stream& stream, const std::vector<CompletionPointer>& waits) {
  Clock clock = stream.clock;
  clock.join(Runtime::instance().host_clock);
  if (&stream == stream.device().legacy.get()) clock.join(stream.device().orphan_clock);
  for (const CompletionPointer& wait : waits) clock.join(wait->clock);
  return clock;
}

CompletionPointer enqueue_locked(Stream& stream, OperationPointer operation,
                                 std::vector<CompletionPointer> waits, const Clock* clock_inside) {
  for (CompletionPointer& wait : implicit_waits(stream)) waits.push_back(std::move(wait));
  Task task;
  task.done = std::make_shared<Completion>();
  if (options().check_streams) {
    auto place = std::make_shared<OrderedWork>();
    stream.clock = clock_before(stream, waits);
    if (clock_inside != nullptr) stream.clock.join(*clock_inside);
    stream.clock.set(stream.timeline(), ++stream.count);
    place->timeline = stream.timeline();
    place->count = stream.count;
    place->clock = stream.clock;
    place->name = operation->name();
    place->stream = stream.name();
    task.done->clock = stream.clock;
    task.place = std::move(place);
  }
  std::erase_if(waits, [](const CompletionPointer& wait) { return wait->ready(); });
  task.waits = std::move(waits);
  if (!options().report.empty()) report::add_submission(operation->report_kind());
  task.operation = std::move(operation);
  task.enqueued = peer_now();
  stream.last = task.done;
  CompletionPointer done = task.done;
  stream.push(std::move(task));
  return done;
}

cudaError_t enqueue(const StreamPointer& stream, OperationPointer operation,
                    std::vector<CompletionPointer> waits, CompletionPointer* done) {
  Runtime& runtime = Runtime::instance();
  {
    std::lock_guard lock(runtime.mutex);
    if (stream->capture != nullptr) {
      capture_operation(*stream, std::move(operation));
      return cudaSuccess;
    }
    refuse_implicit_capture(*stream);
    CompletionPointer end = enqueue_locked(*stream, std::move(operation), std::move(waits));
    if (done != nullptr) *done = std::move(end);
  }
  if (options().deterministic) stream->run_inline();
  return cudaSuccess;
}

void wait_for(const CompletionPointer& completion) {
  if (completion == nullptr) return;
  completion->wait();
  Runtime& runtime = Runtime::instance();
  runtime.join_host(completion->clock);
  // What kernels have printed appears where the host synchronises.
  const auto devices = static_cast<int>(machine().devices.size());
  for (int device = 0; device < devices; ++device) flush_device_output(device);
}

cudaError_t wait_for(const StreamPointer& stream) {
  Runtime& runtime = Runtime::instance();
  std::vector<CompletionPointer> ends;
  {
    std::lock_guard lock(runtime.mutex);
    if (stream->capture != nullptr) refuse_captured(*stream);
    refuse_implicit_capture(*stream);
    if (stream->last != nullptr) ends.push_back(stream->last);
    if (stream == stream->device().legacy) {
      for (Stream* other : stream->device().streams) {
        if (other->blocking() && other->last != nullptr) ends.push_back(other->last);
      }
    }
  }
  for (const CompletionPointer& end : ends) wait_for(end);
  return runtime.sticky();
}

cudaError_t wait_for(Device& device) {
  Runtime& runtime = Runtime::instance();
  std::vector<CompletionPointer> ends;
  {
    std::lock_guard lock(runtime.mutex);
    if (device.legacy != nullptr && device.legacy->last != nullptr) {
      ends.push_back(device.legacy->last);
    }
    for (Stream* other : device.streams) {
      if (other->last != nullptr) ends.push_back(other->last);
    }
    for (const CompletionPointer& end : device.orphans) ends.push_back(end);
  }
  for (const CompletionPointer& end : ends) wait_for(end);
  return runtime.sticky();
}

}  // namespace gpusim::cudart
