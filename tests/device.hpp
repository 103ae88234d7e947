// The device that tests compute on: the CPU or, with INGOT_TEST_DEVICE=cuda, the first GPU, which
// may be a simulated one (tests/gpusim). The same test programs run on both.
#pragma once

#include <cstdlib>
#include <memory>
#include <string_view>

#include "ops/cuda_module.hpp"
#include "ops/device/cpu/cpu_device.hpp"

namespace ingot::test {

inline bool on_cuda() {
  const char* device = std::getenv("INGOT_TEST_DEVICE");
  return device != nullptr && std::string_view(device) == "cuda";
}

/// One for the whole program, and never destroyed: starting a GPU takes long, and at exit CUDA may
/// be gone before static objects are.
inline Device& cuda_device() {
  static Device& device = *load_cuda_module().create_device(0).release();
  return device;
}

/// The device under test. A CPU device is made anew, with this many threads, and owned by `owner`.
inline Device& make_device(std::unique_ptr<cpu::CpuDevice>& owner, int threads) {
  if (on_cuda()) return cuda_device();
  owner = std::make_unique<cpu::CpuDevice>(threads);
  return *owner;
}

/// All ops of ingot with their kernels for the device under test.
inline void register_test_ops(Registry& registry) {
  register_ops(registry);
  if (on_cuda()) load_cuda_module().register_kernels(registry);
}

/// A registry that has CUDA kernels, for tests whose own has the CPU's only.
inline const Registry& cuda_registry() {
  static const Registry& registry = [&]() -> const Registry& {
    auto* made = new Registry;
    register_test_ops(*made);
    return *made;
  }();
  return registry;
}

}  // namespace ingot::test
