// The CPU as a device: streams are worker threads, memory is memfd-backed so that other ranks of
// the node can map it, and kernels share one thread pool.
#pragma once

#include <memory>

#include "ops/device/cpu/thread_pool.hpp"
#include "ops/device/device.hpp"

namespace ingot::cpu {

class CpuDevice : public Device {
 public:
  /// `threads` is what one kernel may use, the stream's own worker included; at least 1.
  /// `processes` counts the ranks that share this process's cores: waits spin only where all their
  /// threads have a core. Streams are destroyed before their device; buffers may outlive it.
  explicit CpuDevice(int threads, int processes = 1);
  ~CpuDevice() override;

  DeviceKind kind() const override { return DeviceKind::kCpu; }
  std::string description() const override;
  std::unique_ptr<Stream> create_stream(const std::string& name) override;
  std::unique_ptr<Event> create_event() override;
  Buffer allocate(std::int64_t bytes, const std::string& label) override;
  void copy(Stream& stream, void* to, const void* from, std::int64_t bytes) override;
  void fill_zero(Stream& stream, void* to, std::int64_t bytes) override;
  std::int64_t allocated_bytes() const override;

  ThreadPool& pool();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The pool of the CPU device that a stream belongs to.
ThreadPool& pool_of(Stream& stream);

}  // namespace ingot::cpu
