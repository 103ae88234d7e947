// What every program here uses. A failed call or check prints where it stands and ends the program
// with status 1; a program that reaches done() prints "ok", which the tests look for.
#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <source_location>
#include <vector>

[[noreturn]] inline void fail(const char* what, const char* detail, std::source_location where) {
  std::fprintf(stderr, "%s:%u: %s%s\n", where.file_name(), where.line(), what, detail);
  std::exit(1);
}

inline void check(cudaError_t status,
                  std::source_location where = std::source_location::current()) {
  if (status != cudaSuccess) fail("CUDA error: ", cudaGetErrorString(status), where);
}

inline void require(bool condition, const char* what,
                    std::source_location where = std::source_location::current()) {
  if (!condition) fail("not so: ", what, where);
}

inline void expect_error(cudaError_t status, cudaError_t expected,
                         std::source_location where = std::source_location::current()) {
  if (status == expected) return;
  std::fprintf(stderr, "got %s, expected %s\n", cudaGetErrorName(status),
               cudaGetErrorName(expected));
  fail("another result than expected", "", where);
}

inline void require_close(double found, double expected, double tolerance, const char* what,
                          std::source_location where = std::source_location::current()) {
  if (std::abs(found - expected) <= tolerance) return;
  std::fprintf(stderr, "found %.9g, expected %.9g\n", found, expected);
  fail("not close: ", what, where);
}

/// Checks the launch before it and waits for it.
inline void finish(std::source_location where = std::source_location::current()) {
  check(cudaGetLastError(), where);
  check(cudaDeviceSynchronize(), where);
}

inline int done() {
  std::printf("ok\n");
  return 0;
}

/// Device memory that is freed with its scope.
template <typename T>
class Buffer {
 public:
  explicit Buffer(std::size_t count) : count_(count) {
    check(cudaMalloc(&data_, count * sizeof(T)));
  }
  explicit Buffer(const std::vector<T>& values) : Buffer(values.size()) { upload(values); }
  ~Buffer() { cudaFree(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  T* data() const { return data_; }
  std::size_t bytes() const { return count_ * sizeof(T); }
  void upload(const std::vector<T>& values) {
    check(cudaMemcpy(data_, values.data(), bytes(), cudaMemcpyHostToDevice));
  }
  void zero() { check(cudaMemset(data_, 0, bytes())); }
  std::vector<T> download() const {
    std::vector<T> values(count_);
    check(cudaMemcpy(values.data(), data_, bytes(), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  std::size_t count_;
  T* data_ = nullptr;
};

/// Values that differ from element to element and are exact in half precision.
inline float sample(std::size_t i) {
  return static_cast<float>(static_cast<int>(i * 7 % 17) - 8);
}

template <typename T>
std::vector<T> samples(std::size_t count) {
  std::vector<T> values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(static_cast<T>(sample(i)));
  return values;
}
