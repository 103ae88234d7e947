// The device of one rank of several on this machine, by INGOT_TEST_DEVICE as tests/device.hpp has
// it: GPUs are dealt out, and shared where there are fewer.
#pragma once

#include <algorithm>
#include <memory>

#include "ops/base/error.hpp"
#include "tests/far_device.hpp"

#if INGOT_TEST_CUDA
#include "ops/cuda_module.hpp"
#endif

namespace ingot::test {

inline std::unique_ptr<Device> make_device_of_rank([[maybe_unused]] int rank, int ranks) {
  if (!on_cuda()) return make_cpu_device(1, ranks);
#if INGOT_TEST_CUDA
  CudaModule& module = load_cuda_module();
  const auto gpus = static_cast<int>(module.survey().gpus.size());
  return module.create_device(rank % std::max(gpus, 1));
#else
  fail(ExitCode::kEnvironment, "this test was built without CUDA");
#endif
}

/// Whether so many ranks are more than the GPUs.
inline bool shares_a_gpu([[maybe_unused]] int ranks) {
#if INGOT_TEST_CUDA
  return on_cuda() && static_cast<int>(load_cuda_module().survey().gpus.size()) < ranks;
#else
  return false;
#endif
}

}  // namespace ingot::test
