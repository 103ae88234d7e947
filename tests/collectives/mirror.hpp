// The device that a rank of a multi-rank test computes on, by INGOT_TEST_DEVICE: the CPU, `far`, or
// `cuda`, the GPU of the rank's place on this machine; and memory of it beside what the host sees.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ops/device/device.hpp"
#include "tests/far_device.hpp"
#include "tests/mpi_main.hpp"
#include "tests/rank_device.hpp"

namespace ingot::test {

/// A GPU is made once for the whole program; a CPU device is owned by `owner`.
inline Device& rank_device(std::unique_ptr<cpu::CpuDevice>& owner) {
  if (!on_cuda()) {
    owner = make_cpu_device(1, session->local_size());
    return *owner;
  }
  static const std::unique_ptr<Device> device =
      make_device_of_rank(session->local_rank(), session->local_size());
  return *device;
}

/// Elements of the device that the host fills and looks at. On the CPU both see the same memory.
template <typename T>
class Mirror {
 public:
  /// `place`: memory of the device to use; null: its own.
  Mirror(Stream& stream, std::int64_t count, T value, T* place = nullptr)
      : stream_(stream), count_(count), place_(place) {
    if (on_cuda() || place == nullptr) heap_.assign(static_cast<std::size_t>(count), value);
    if (!on_cuda()) {
      if (place == nullptr) place_ = heap_.data();
      std::fill_n(place_, count, value);
      return;
    }
    if (place == nullptr) {
      memory_ = stream.device().allocate(count * bytes_of_one() + 1, "mirror");
      place_ = static_cast<T*>(memory_.data());
    }
    upload();
  }

  T* data() { return place_; }
  /// What the host sees: after download() what the device has.
  std::span<T> host() {
    return {on_cuda() ? heap_.data() : place_, static_cast<std::size_t>(count_)};
  }
  void upload() { copy(place_, heap_.data()); }
  void download() { copy(heap_.data(), place_); }

 private:
  static constexpr std::int64_t bytes_of_one() { return static_cast<std::int64_t>(sizeof(T)); }
  void copy(T* to, const T* from) {
    if (!on_cuda()) return;
    stream_.device().copy(stream_, to, from, count_ * bytes_of_one());
    stream_.synchronize();
  }

  Stream& stream_;
  std::int64_t count_;
  T* place_;
  std::vector<T> heap_;
  Buffer memory_;
};

/// Seconds of the clock that all processes of this machine share.
inline double shared_clock() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace ingot::test
