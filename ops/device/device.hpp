// What a compute device is: memory, streams of asynchronous work, and events that order streams.
//
// Work is enqueued on a Stream, which runs it in order (FIFO) and asynchronously to the caller. Two
// streams are unordered except where one waits for an Event that the other recorded. The CPU device
// follows the same rules with worker threads, so that a program correct on one is correct on both.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

namespace ingot {

enum class DeviceKind : std::uint8_t { kCpu, kCuda };
std::string_view name_of(DeviceKind kind);  ///< "cpu", "cuda"

class Device;

/// A point in a stream's work. An event that was never recorded counts as done.
/// An event may be recorded again once everything that waits for its last record has begun.
class Event {
 public:
  virtual ~Event() = default;
  virtual bool done() const = 0;
  /// Blocks the calling thread until the last record is done.
  virtual void synchronize() = 0;
  /// Steady-clock seconds at which the last record was reached; valid once done() is true.
  virtual double seconds() const = 0;
  /// Seconds between the last records of `earlier` and of this event, both done and of one device;
  /// finer than the difference of their seconds() where the device has a clock of its own.
  virtual double seconds_since(const Event& earlier) const { return seconds() - earlier.seconds(); }
};

/// A host function of a stream's order, with its argument.
using HostFunction = void (*)(void* context);
/// Does what can be done within microseconds; true if that was all.
using Attempt = bool (*)(void* context);

class Stream {
 public:
  virtual ~Stream() = default;
  virtual Device& device() = 0;
  /// Runs function(context) when all earlier work of the stream is done. Allocates nothing;
  /// `context` must live until then. An exception that it throws is kept: later work of the stream
  /// is dropped and synchronize() throws it.
  virtual void call(HostFunction function, void* context) = 0;
  /// As call(otherwise, context). Where the stream is idle, the caller may first run
  /// attempt(context) itself, sparing a thread's wake-up, and is done if that returns true. An
  /// attempt must not use the stream, nor wait for anything that may need the caller.
  virtual void try_call(Attempt /*attempt*/, HostFunction otherwise, void* context) {
    call(otherwise, context);
  }
  virtual void record(Event& event) = 0;
  /// Records an event for the host to wait for or to read the time of. Outside of a Recording it is
  /// record(); within one, record() orders streams only, and mark() leaves a time at each replay.
  virtual void mark(Event& event) { record(event); }
  /// Whether what is enqueued is being recorded instead of started (see Device::record).
  virtual bool recording() const { return false; }
  /// Later work of this stream begins after the event's last record at the time of this call.
  virtual void wait(Event& event) = 0;
  /// Blocks until all work enqueued so far is done; throws the first error of that work.
  virtual void synchronize() = 0;
  /// Throws the first error of the work that is done, without waiting for more.
  virtual void throw_error() {}
};

/// Work of one or more streams that is started as a whole, as often as wanted: a CUDA graph.
/// Everything that the recorded calls were given must outlive it.
class Recording {
 public:
  virtual ~Recording() = default;
  /// Starts the work in the order of `stream`; it may be started again before it is done.
  virtual void replay(Stream& stream) = 0;
};

/// Owned memory of a device, or of the host for it. The CPU device's is aligned to a page and zero
/// when new; that of others is aligned to 256 bytes and its contents are undefined.
class Buffer {
 public:
  Buffer() = default;
  Buffer(void* data, std::int64_t bytes, std::function<void(void*, std::int64_t)> release,
         int descriptor = -1);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() const { return data_; }
  std::int64_t bytes() const { return bytes_; }
  /// The file whose first bytes() bytes this memory is, for other processes to map; -1 where there
  /// is none. Open as long as the buffer lives.
  int descriptor() const { return descriptor_; }
  /// Address `offset` bytes into the buffer; the range [offset, offset + bytes) must lie inside.
  void* at(std::int64_t offset, std::int64_t bytes) const;

 private:
  void* data_ = nullptr;
  std::int64_t bytes_ = 0;
  std::function<void(void*, std::int64_t)> release_;
  int descriptor_ = -1;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceKind kind() const = 0;
  /// One line for tables and logs: "cpu, 2 threads, AVX2".
  virtual std::string description() const = 0;
  /// Whether the host may read and write what allocate() returns. Where it may not, contents go
  /// through copy() and memory of allocate_host().
  virtual bool host_visible() const { return true; }
  /// A stream called "communication" goes first where the device has priorities.
  virtual std::unique_ptr<Stream> create_stream(const std::string& name) = 0;
  virtual std::unique_ptr<Event> create_event() = 0;
  /// Memory for a whole arena; called while a run starts, never during a step.
  /// Throws Error(kGpu or kInternal) naming `label` where the memory cannot be had.
  virtual Buffer allocate(std::int64_t bytes, const std::string& label) = 0;
  /// As allocate(), for memory that ranks exchange: of the kind that the transport reaches best,
  /// where the transport that was made for this device has one of its own.
  virtual Buffer allocate_shared(std::int64_t bytes, const std::string& label) {
    return allocate(bytes, label);
  }
  /// Host memory that copies to and from the device run fastest with (CUDA: pinned), to be
  /// allocated while a run starts.
  virtual Buffer allocate_host(std::int64_t bytes, const std::string& label) {
    return allocate(bytes, label);
  }
  /// Bytes that allocate() could still give out; the largest number where that is not known.
  virtual std::int64_t available_bytes() const { return std::numeric_limits<std::int64_t>::max(); }
  /// Records what `enqueue` puts on `origin`, and on streams that come to wait for events of it and
  /// that it waits for in the end. Null, without calling it, where the device has no such thing:
  /// the caller then enqueues the work itself each time.
  virtual std::unique_ptr<Recording> record(Stream& /*origin*/, const std::string& /*name*/,
                                            const std::function<void()>& /*enqueue*/) {
    return nullptr;
  }
  /// Names what the calling thread enqueues until leave_range(), for profilers that watch the
  /// device (CUDA: NVTX); ranges may be nested.
  virtual void enter_range(const char* /*name*/) {}
  virtual void leave_range() {}
  /// Copies between any two of host and this device's memory, in the stream's order.
  virtual void copy(Stream& stream, void* to, const void* from, std::int64_t bytes) = 0;
  virtual void fill_zero(Stream& stream, void* to, std::int64_t bytes) = 0;
  /// Bytes given out by allocate() and not released.
  virtual std::int64_t allocated_bytes() const = 0;
};

/// Device::enter_range() until the end of the scope.
class NamedRange {
 public:
  NamedRange(Device& device, const std::string& name) : device_(device) {
    device.enter_range(name.c_str());
  }
  ~NamedRange() { device_.leave_range(); }
  NamedRange(const NamedRange&) = delete;
  NamedRange& operator=(const NamedRange&) = delete;

 private:
  Device& device_;
};

}  // namespace ingot
