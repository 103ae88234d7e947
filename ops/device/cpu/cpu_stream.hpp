// Streams and events of the CPU device. A stream is a worker thread that takes its work from a ring
// of fixed size; nothing is allocated once it exists. What needs no waiting is settled where it is
// enqueued: a record on an idle stream, and a wait for an event that is already reached.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ops/device/cpu/cpu_device.hpp"
#include "ops/device/cpu/sequence.hpp"

namespace ingot::cpu {

/// Must outlive the work that records it or waits for it.
class CpuEvent final : public Event {
 public:
  explicit CpuEvent(std::chrono::nanoseconds spin) : spin_(spin) {}

  bool done() const override { return reached_.reached(last_record()); }
  void synchronize() override { wait_for(last_record()); }
  double seconds() const override { return seconds_.load(std::memory_order_relaxed); }

  /// Records are numbered; this is the number of the next one.
  std::uint32_t begin_record() { return records_.fetch_add(1) + 1; }
  std::uint32_t last_record() const { return records_.load(); }
  bool reached(std::uint32_t record) const { return reached_.reached(record); }
  void reach(std::uint32_t record);
  void wait_for(std::uint32_t record) const { reached_.wait_for(record, spin_); }

 private:
  std::chrono::nanoseconds spin_;
  std::atomic<std::uint32_t> records_{0};
  std::atomic<double> seconds_{0};
  Sequence reached_;
};

class CpuStream final : public Stream {
 public:
  CpuStream(CpuDevice& device, const std::string& name, std::chrono::nanoseconds spin);
  /// Finishes the work that was enqueued; an error of it that nobody asked for is dropped.
  ~CpuStream() override;

  Device& device() override { return device_; }
  void call(HostFunction function, void* context) override;
  void try_call(Attempt attempt, HostFunction otherwise, void* context) override;
  void record(Event& event) override;
  void wait(Event& event) override;
  void synchronize() override;
  void throw_error() override;

  void copy(void* to, const void* from, std::int64_t bytes);
  void fill_zero(void* to, std::int64_t bytes);

 private:
  enum class Kind : std::uint8_t { kCall, kRecord, kWait, kCopy, kFillZero, kMark, kStop };
  struct Work {
    Kind kind = Kind::kStop;
    std::uint32_t record = 0;         ///< of the event: kRecord, kWait; kMark: its number
    HostFunction function = nullptr;  ///< kCall
    void* subject = nullptr;          ///< context, event, or where to write
    const void* from = nullptr;       ///< kCopy
    std::int64_t bytes = 0;           ///< kCopy, kFillZero
  };

  void enqueue(const Work& work);
  void enqueue_locked(const Work& work);
  void run_until_stopped();
  void run(const Work& work);

  CpuDevice& device_;
  std::chrono::nanoseconds spin_;
  std::vector<Work> ring_;
  std::mutex callers_;
  std::uint32_t enqueued_ = 0;  ///< guarded by callers_
  Sequence published_;          ///< work the worker may take
  Sequence done_;               ///< work it has finished
  /// Whoever synchronizes sleeps on a mark of its own, not on done_: each piece of work would wake
  /// it, a system call for the worker and a turn on its core.
  std::uint32_t marks_ = 0;  ///< guarded by callers_
  Sequence passed_;          ///< marks that the worker has come to

  std::atomic<bool> failed_{false};
  std::exception_ptr error_;  ///< written once, before failed_ is set: by the worker, or by a
                              ///< caller while there is no work for that

  std::thread worker_;
};

}  // namespace ingot::cpu
