// Device memory and naive references for the tests of cuBLAS and cuBLASLt.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

#include "blas/product.hpp"

namespace gpusim::blas {

/// `count` elements on the device, with what was put there.
class DeviceArray {
 public:
  DeviceArray(Element type, std::int64_t count) : type_(type), count_(count) {
    EXPECT_EQ(cudaMalloc(&data_, bytes()), cudaSuccess);
  }
  /// With random values between -1 and 1 in steps that every type holds (integers: -16 to 16).
  DeviceArray(Element type, std::int64_t count, unsigned seed) : DeviceArray(type, count) {
    std::mt19937 random(seed);
    std::vector<double> values(static_cast<std::size_t>(count));
    const double scale = type == Element::kS8 || type == Element::kS32 ? 1.0 : 1.0 / 16;
    for (double& value : values) value = (static_cast<int>(random() % 33) - 16) * scale;
    put(values);
  }
  ~DeviceArray() { EXPECT_EQ(cudaFree(data_), cudaSuccess); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  void put(const std::vector<double>& values) {
    std::vector<std::byte> host(bytes());
    for (std::size_t i = 0; i < values.size(); ++i) {
      store_element(host.data(), type_, static_cast<std::int64_t>(i), values[i]);
    }
    EXPECT_EQ(cudaMemcpy(data_, host.data(), host.size(), cudaMemcpyHostToDevice), cudaSuccess);
  }
  std::vector<double> get() const {
    std::vector<std::byte> host(bytes());
    EXPECT_EQ(cudaMemcpy(host.data(), data_, host.size(), cudaMemcpyDeviceToHost), cudaSuccess);
    std::vector<double> values(static_cast<std::size_t>(count_));
    for (std::int64_t i = 0; i < count_; ++i) {
      values[static_cast<std::size_t>(i)] = load_element(host.data(), type_, i);
    }
    return values;
  }
  void* data() const { return data_; }
  float* floats() const { return static_cast<float*>(data_); }
  double* doubles() const { return static_cast<double*>(data_); }

 private:
  std::size_t bytes() const { return static_cast<std::size_t>(count_ * size_of(type_)); }
  Element type_;
  std::int64_t count_;
  void* data_ = nullptr;
};

/// A matrix in a host copy of a DeviceArray: element (i, j) of op(X).
struct HostMatrix {
  const std::vector<double>& values;
  std::int64_t leading;
  bool transposed;  ///< or stored by rows
  std::int64_t offset = 0;
  double operator()(std::int64_t i, std::int64_t j) const {
    return values[static_cast<std::size_t>(offset +
                                           (transposed ? j + i * leading : i + j * leading))];
  }
};

inline double product_element(const HostMatrix& a, const HostMatrix& b, std::int64_t k,
                              std::int64_t i, std::int64_t j) {
  double sum = 0;
  for (std::int64_t p = 0; p < k; ++p) sum += a(i, p) * b(p, j);
  return sum;
}

/// Half a unit in the last place of `type`, and what f32 sums may differ by.
inline double tolerance(Element type, double magnitude) {
  switch (type) {
    case Element::kBf16:
      return 0.004 * magnitude + 1e-3;
    case Element::kF16:
      return 0.0006 * magnitude + 2e-4;
    case Element::kF32:
      return 1e-5 * magnitude + 1e-4;
    default:
      return 1e-12 * magnitude + 1e-12;
  }
}

}  // namespace gpusim::blas
