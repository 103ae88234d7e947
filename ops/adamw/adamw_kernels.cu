// CUDA kernel of adamw, with the operations and roundings of the CPU kernel.
#include "ops/adamw/adamw_kernels.hpp"
#include "ops/cuda_optimizer.cuh"

namespace ingot::cuda {
namespace {

struct Adamw {
  AdamwArguments arguments;

  struct Step {
    double learning_rate;
    double first_correction;  ///< 1 / (1 - beta1^t)
    float gradient_scale;
    float one_minus_beta1;
    float beta2;
    float one_minus_beta2;
    float second_correction;  ///< 1 / sqrt(1 - beta2^t)
    float epsilon;
  };

  __device__ Step prepare(const StepScalars& step) const {
    const double beta1 = arguments.beta1;
    const double beta2 = arguments.beta2;
    return {step.learning_rate,
            1 / (1 - integer_power(beta1, step.adam_step)),
            static_cast<float>(step.gradient_scale),
            static_cast<float>(1 - beta1),
            static_cast<float>(beta2),
            static_cast<float>(1 - beta2),
            static_cast<float>(1 / sqrt(1 - integer_power(beta2, step.adam_step))),
            static_cast<float>(arguments.epsilon)};
  }

  /// What weights keep of themselves, and the step size.
  __device__ float2 rates(const Step& step, float factor, float decay) const {
    const double rate = step.learning_rate * static_cast<double>(factor);
    return make_float2(static_cast<float>(1 - rate * static_cast<double>(decay)),
                       static_cast<float>(rate * step.first_correction));
  }

  template <int N>
  __device__ void update(std::int64_t i, const float (&g)[N], float2 rates, const Step& step,
                         float (&weight)[N]) const {
    float m[N];
    float v[N];
    load_floats(arguments.first + i, m);
    load_floats(arguments.second + i, v);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      m[k] = fmaf(g[k] - m[k], step.one_minus_beta1, m[k]);
      v[k] = fmaf(v[k], step.beta2, g[k] * g[k] * step.one_minus_beta2);
      const float denominator = fmaf(__fsqrt_rn(v[k]), step.second_correction, step.epsilon);
      weight[k] = fmaf(-rates.y, __fdiv_rn(m[k], denominator), weight[k] * rates.x);
    }
    store_floats(arguments.first + i, m);
    store_floats(arguments.second + i, v);
  }
};

}  // namespace

void launch_adamw(const CudaLaunch& launch, const FlatStore& store, const AdamwArguments& adamw) {
  launch_optimizer(launch, store, Adamw{adamw}, adamw.first, adamw.second);
}

}  // namespace ingot::cuda
