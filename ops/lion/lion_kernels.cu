// CUDA kernel of lion, with the operations and roundings of the CPU kernel.
#include "ops/cuda_optimizer.cuh"
#include "ops/lion/lion_kernels.hpp"

namespace ingot::cuda {
namespace {

struct Lion {
  LionArguments arguments;

  struct Step {
    double learning_rate;
    float gradient_scale;
    float one_minus_beta1;
    float one_minus_beta2;
  };

  __device__ Step prepare(const StepScalars& step) const {
    return {step.learning_rate, static_cast<float>(step.gradient_scale),
            static_cast<float>(1 - arguments.beta1), static_cast<float>(1 - arguments.beta2)};
  }

  /// What weights keep of themselves, and the length of a step.
  __device__ float2 rates(const Step& step, float factor, float decay) const {
    const double rate = step.learning_rate * static_cast<double>(factor);
    return make_float2(static_cast<float>(1 - rate * static_cast<double>(decay)),
                       static_cast<float>(rate));
  }

  template <int N>
  __device__ void update(std::int64_t i, const float (&g)[N], float2 rates, const Step& step,
                         float (&weight)[N]) const {
    float m[N];
    load_floats(arguments.momentum + i, m);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const float distance = g[k] - m[k];
      const float direction = fmaf(distance, step.one_minus_beta1, m[k]);
      // The sign of zero is zero.
      const float along = direction == 0.0F ? 0.0F : copysignf(rates.y, direction);
      weight[k] = __fmul_rn(weight[k], rates.x) - along;
      m[k] = fmaf(distance, step.one_minus_beta2, m[k]);
    }
    store_floats(arguments.momentum + i, m);
  }
};

}  // namespace

void launch_lion(const CudaLaunch& launch, const FlatStore& store, const LionArguments& lion) {
  launch_optimizer(launch, store, Lion{lion}, lion.momentum);
}

}  // namespace ingot::cuda
