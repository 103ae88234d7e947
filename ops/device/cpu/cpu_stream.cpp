#include "ops/device/cpu/cpu_stream.hpp"

#include <algorithm>
#include <cstring>
#include <typeinfo>

#include "ops/base/error.hpp"
#include "ops/device/cpu/worker_thread.hpp"

namespace ingot::cpu {
namespace {

/// A power of two, so that positions stay right when the count of work wraps around. A step of a
/// deep model enqueues some thousand pieces of work; a caller ahead by more waits for the worker.
constexpr std::uint32_t kRingSize = 4096;

/// Pieces in which copies and fills are shared among threads.
constexpr std::int64_t kCopyGrain = 256 << 10;

CpuEvent& cpu_event(Event& event) {
  ensure(typeid(event) == typeid(CpuEvent), "an event of the CPU device");
  return static_cast<CpuEvent&>(event);
}

}  // namespace

void CpuEvent::reach(std::uint32_t record) {
  const std::chrono::duration<double> now = std::chrono::steady_clock::now().time_since_epoch();
  seconds_.store(now.count(), std::memory_order_relaxed);
  reached_.advance_to(record);
}

CpuStream::CpuStream(CpuDevice& device, const std::string& name, std::chrono::nanoseconds spin)
    : device_(device), spin_(spin), ring_(kRingSize) {
  worker_ = std::thread([this, name] {
    prepare_worker_thread(name);
    run_until_stopped();
  });
}

CpuStream::~CpuStream() {
  enqueue({.kind = Kind::kStop});
  worker_.join();
}

void CpuStream::call(HostFunction function, void* context) {
  enqueue({.kind = Kind::kCall, .function = function, .subject = context});
}

void CpuStream::try_call(Attempt attempt, HostFunction otherwise, void* context) {
  // Held meanwhile: what other callers enqueue comes after this.
  const std::scoped_lock lock(callers_);
  if (done_.reached(enqueued_) && !failed_.load()) {
    try {
      if (attempt(context)) return;
    } catch (...) {
      error_ = std::current_exception();
      failed_.store(true);
      return;
    }
  }
  enqueue_locked({.kind = Kind::kCall, .function = otherwise, .subject = context});
}

void CpuStream::record(Event& event) {
  CpuEvent& target = cpu_event(event);
  const std::scoped_lock lock(callers_);
  const std::uint32_t record = target.begin_record();
  if (done_.reached(enqueued_)) {
    target.reach(record);
  } else {
    enqueue_locked({.kind = Kind::kRecord, .record = record, .subject = &target});
  }
}

void CpuStream::wait(Event& event) {
  CpuEvent& target = cpu_event(event);
  const std::uint32_t record = target.last_record();
  if (target.reached(record)) return;
  enqueue({.kind = Kind::kWait, .record = record, .subject = &target});
}

void CpuStream::synchronize() {
  bool idle = false;
  std::uint32_t mark = 0;
  {
    const std::scoped_lock lock(callers_);
    idle = done_.reached(enqueued_);
    if (!idle) {
      mark = ++marks_;
      enqueue_locked({.kind = Kind::kMark, .record = mark});
    }
  }
  if (!idle) passed_.wait_for(mark, spin_);
  throw_error();
}

void CpuStream::throw_error() {
  if (failed_.load()) std::rethrow_exception(error_);
}

void CpuStream::copy(void* to, const void* from, std::int64_t bytes) {
  enqueue({.kind = Kind::kCopy, .subject = to, .from = from, .bytes = bytes});
}

void CpuStream::fill_zero(void* to, std::int64_t bytes) {
  enqueue({.kind = Kind::kFillZero, .subject = to, .bytes = bytes});
}

void CpuStream::enqueue(const Work& work) {
  const std::scoped_lock lock(callers_);
  enqueue_locked(work);
}

void CpuStream::enqueue_locked(const Work& work) {
  // The place is free once the work that had it before is done.
  done_.wait_for(enqueued_ + 1 - kRingSize, spin_);
  ring_[enqueued_ % kRingSize] = work;
  published_.advance_to(++enqueued_);
}

void CpuStream::run_until_stopped() {
  for (std::uint32_t next = 1;; ++next) {
    published_.wait_for(next, spin_);
    const Work work = ring_[(next - 1) % kRingSize];
    if (work.kind == Kind::kStop) return;
    if (work.kind == Kind::kMark) {
      // In this order: who is woken finds the stream idle.
      done_.advance_to(next);
      passed_.advance_to(work.record);
      continue;
    }
    try {
      run(work);
    } catch (...) {
      error_ = std::current_exception();
      failed_.store(true);
    }
    done_.advance_to(next);
  }
}

void CpuStream::run(const Work& work) {
  // Events are reached and waited for even after an error, so that no other stream hangs.
  if (work.kind == Kind::kRecord) return static_cast<CpuEvent*>(work.subject)->reach(work.record);
  if (work.kind == Kind::kWait) return static_cast<CpuEvent*>(work.subject)->wait_for(work.record);
  if (failed_.load(std::memory_order_relaxed)) return;

  auto* to = static_cast<std::byte*>(work.subject);
  const auto* from = static_cast<const std::byte*>(work.from);
  switch (work.kind) {
    case Kind::kCall:
      return work.function(work.subject);
    case Kind::kCopy:
      return device_.pool().parallel_for(
          work.bytes, kCopyGrain, [&](std::int64_t begin, std::int64_t end) {
            std::memcpy(to + begin, from + begin, static_cast<std::size_t>(end - begin));
          });
    case Kind::kFillZero:
      return device_.pool().parallel_for(
          work.bytes, kCopyGrain, [&](std::int64_t begin, std::int64_t end) {
            std::memset(to + begin, 0, static_cast<std::size_t>(end - begin));
          });
    case Kind::kRecord:
    case Kind::kWait:
    case Kind::kMark:
    case Kind::kStop:
      break;
  }
}

}  // namespace ingot::cpu
