// The threads that share one CPU kernel. One pool per rank; OpenMP is not used, so that the number
// of threads is exactly what the configuration says and idle threads sleep instead of spinning.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace ingot::cpu {

/// A borrowed callable void(begin, end); lives as long as the call it is passed to.
class RangeFunction {
 public:
  template <typename F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, RangeFunction>)
      RangeFunction(F&& f)  // NOLINT: implicit by design, a lambda is passed directly
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* object, std::int64_t begin, std::int64_t end) {
          (*static_cast<std::remove_reference_t<F>*>(object))(begin, end);
        }) {}
  void operator()(std::int64_t begin, std::int64_t end) const { call_(object_, begin, end); }

 private:
  void* object_;
  void (*call_)(void*, std::int64_t, std::int64_t);
};

class ThreadPool {
 public:
  /// `threads` counts the calling thread: a pool of one starts no thread at all.
  explicit ThreadPool(int threads);
  /// As above; waiting threads spin this long before they sleep.
  ThreadPool(int threads, std::chrono::nanoseconds spin);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  /// Calls body(begin, end) over pieces of [0, count) of `grain` elements each (the last may be
  /// shorter), in any order and on any thread, and returns when all are done. The pieces depend on
  /// count and grain only, never on the number of threads: a kernel that keeps its partial results
  /// by piece gives the same bits on any number of threads. Allocates nothing. The first exception
  /// of a piece is thrown to the caller. Not reentrant from inside a body; jobs of several
  /// pieces that several threads start at once are served one after the other.
  void parallel_for(std::int64_t count, std::int64_t grain, RangeFunction body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ingot::cpu
