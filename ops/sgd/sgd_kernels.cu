// CUDA kernel of sgd, with the operations and roundings of the CPU kernel.
#include "ops/cuda_optimizer.cuh"
#include "ops/sgd/sgd_kernels.hpp"

namespace ingot::cuda {
namespace {

struct Sgd {
  SgdArguments arguments;

  struct Step {
    double learning_rate;
    float gradient_scale;
    float momentum;
  };

  __device__ Step prepare(const StepScalars& step) const {
    return {step.learning_rate, static_cast<float>(step.gradient_scale),
            static_cast<float>(arguments.momentum)};
  }

  /// Weight decay and learning rate.
  __device__ float2 rates(const Step& step, float factor, float decay) const {
    return make_float2(decay, static_cast<float>(step.learning_rate * static_cast<double>(factor)));
  }

  template <int N>
  __device__ void update(std::int64_t i, const float (&g)[N], float2 rates, const Step& step,
                         float (&weight)[N]) const {
    float velocity[N];
    load_floats(arguments.velocity + i, velocity);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      velocity[k] = fmaf(velocity[k], step.momentum, fmaf(rates.x, weight[k], g[k]));
      weight[k] = fmaf(-rates.y, velocity[k], weight[k]);
    }
    store_floats(arguments.velocity + i, velocity);
  }
};

}  // namespace

void launch_sgd(const CudaLaunch& launch, const FlatStore& store, const SgdArguments& sgd) {
  launch_optimizer(launch, store, Sgd{sgd}, sgd.velocity);
}

}  // namespace ingot::cuda
