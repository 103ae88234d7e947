// The device that tests compute on, by the environment variable INGOT_TEST_DEVICE: the CPU; `far`,
// the CPU whose memory the host acts as if it did not see, so that everything is staged; or `cuda`,
// the first GPU, which may be a simulated one (tests/gpusim). The same test programs run on all.
#pragma once

#include <memory>

#include "ops/cuda_module.hpp"
#include "tests/far_device.hpp"

namespace ingot::test {

/// One for the whole program: starting a GPU takes long. It goes at exit, before CUDA, whose
/// library was loaded earlier.
inline Device& cuda_device() {
  static const std::unique_ptr<Device> device = load_cuda_module().create_device(0);
  return *device;
}

/// The device under test. A CPU device is made anew, with this many threads, and owned by `owner`.
inline Device& make_device(std::unique_ptr<cpu::CpuDevice>& owner, int threads) {
  if (on_cuda()) return cuda_device();
  owner = make_cpu_device(threads);
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
