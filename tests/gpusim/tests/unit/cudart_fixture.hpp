// Two simulated devices, and work without kernels: host code that enqueue_work runs in a stream as
// a kernel would run.
#pragma once

#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "cudart/internal.hpp"
#include "machine/machine.hpp"

namespace gpusim::cudart {

/// Set before the options and the machine are read for the first time.
inline const bool kEnvironmentSet = [] {
  setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "2", 1);
  setenv("GPUSIM_ON_PROBLEM", "continue", 1);
  return true;
}();

/// A gate that work waits at until the test opens it.
class Gate {
 public:
  void open() {
    open_.store(1);
    open_.notify_all();
  }
  void wait() const { open_.wait(0); }

 private:
  std::atomic<int> open_{0};
};

inline AccessSet reads(const void* pointer, std::size_t bytes) {
  AccessSet set;
  set.read(reinterpret_cast<std::uint64_t>(pointer), bytes);
  return set;
}

inline AccessSet writes(const void* pointer, std::size_t bytes) {
  AccessSet set;
  set.write(reinterpret_cast<std::uint64_t>(pointer), bytes);
  return set;
}

/// Runs `function` in a stream.
inline cudaError_t run_in(cudaStream_t stream, std::function<void()> function,
                          AccessSet accesses = {}) {
  return enqueue_work(stream, "test work", std::move(accesses), [function = std::move(function)] {
    function();
    return Fault::kNone;
  });
}

inline cudaStream_t new_stream(unsigned flags = cudaStreamDefault) {
  cudaStream_t stream = nullptr;
  EXPECT_EQ(cudaStreamCreateWithFlags(&stream, flags), cudaSuccess);
  return stream;
}

inline cudaEvent_t event_of_test() {
  cudaEvent_t event = nullptr;
  EXPECT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  return event;
}

template <typename T>
T* device_array(std::size_t count) {
  void* pointer = nullptr;
  EXPECT_EQ(cudaMalloc(&pointer, count * sizeof(T)), cudaSuccess);
  return static_cast<T*>(pointer);
}

}  // namespace gpusim::cudart
