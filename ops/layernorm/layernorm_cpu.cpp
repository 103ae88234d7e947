// CPU kernels of layernorm, add_layernorm and layernorm_backward. The arithmetic of a row is in
// norm_rows-inl.hpp, the order of the column sums in norm_backward_kernel.hpp.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/layernorm/layernorm_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/contract.hpp"
#include "ops/cpu_kernel.hpp"
#include "ops/norm_backward_kernel.hpp"
#include "ops/norm_rows-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

template <typename T>
void layernorm_as(const KernelArguments& arguments, bool adds, float epsilon, std::int64_t begin,
                  std::int64_t end) {
  const std::span<const TensorView> in = arguments.inputs;
  const std::span<const TensorView> out = arguments.outputs;
  const std::size_t gamma = adds ? 2 : 1;
  const std::size_t y = adds ? 1 : 0;
  NormForward<T> norm{};
  norm.x = in[0].as<T>();
  norm.add = adds ? in[1].as<T>() : nullptr;
  norm.gamma = in[gamma].as<T>();
  norm.beta = static_cast<const T*>(data_of(in, gamma + 1));
  norm.sum = adds ? out[0].as<T>() : nullptr;
  norm.y = out[y].as<T>();
  norm.mean = out[y + 1].as<float>();
  norm.rstd = out[y + 2].as<float>();
  norm.columns = in[0].type.shape[-1];
  norm.epsilon = epsilon;
  norm_forward_rows<true>(norm, begin, end);
}

void layernorm_rows(const KernelArguments& arguments, bool adds, float epsilon, std::int64_t begin,
                    std::int64_t end) {
  if (arguments.inputs[0].type.dtype == DType::kF32) {
    layernorm_as<float>(arguments, adds, epsilon, begin, end);
  } else {
    layernorm_as<Bf16>(arguments, adds, epsilon, begin, end);
  }
}

template <typename T>
void layernorm_backward_as(const KernelArguments& arguments, bool accumulate, float* partials,
                           std::int64_t begin, std::int64_t end) {
  const std::span<const TensorView> in = arguments.inputs;
  NormBackward<T> norm{};
  norm.dy = in[0].as<T>();
  norm.x = in[1].as<T>();
  norm.mean = in[2].as<float>();
  norm.rstd = in[3].as<float>();
  norm.gamma = in[4].as<T>();
  norm.residual = static_cast<const T*>(data_of(in, 5));
  norm.dx = arguments.outputs[0].as<T>();
  norm.accumulate = accumulate;
  norm.columns = in[1].type.shape[-1];
  float* dbeta = arguments.outputs.size() > 2 ? partials + norm.columns : nullptr;
  norm_backward_rows<true>(norm, partials, dbeta, begin, end);
}

void layernorm_backward_rows(const KernelArguments& arguments, bool accumulate, float* partials,
                             std::int64_t begin, std::int64_t end) {
  if (arguments.inputs[1].type.dtype == DType::kF32) {
    layernorm_backward_as<float>(arguments, accumulate, partials, begin, end);
  } else {
    layernorm_backward_as<Bf16>(arguments, accumulate, partials, begin, end);
  }
}

void layernorm_sum_chunks(const float* partials, std::int64_t chunks, std::int64_t stride,
                          float* to, bool accumulate, std::int64_t begin, std::int64_t end) {
  sum_chunks(partials, chunks, stride, to, accumulate, begin, end);
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot::cpu {

HWY_EXPORT(layernorm_rows);
HWY_EXPORT(layernorm_backward_rows);
HWY_EXPORT(layernorm_sum_chunks);

namespace {

KernelFactory forward_factory(bool adds) {
  return [adds](const PrepareContext& context) {
    const Shape& shape = context.types.inputs[0].shape;
    const std::int64_t rows = shape.leading_count();
    const std::int64_t grain = std::max<std::int64_t>(1, 8192 / shape[-1]);
    const auto epsilon = static_cast<float>(context.types.attributes.real("epsilon"));
    return make_cpu_kernel([=](ThreadPool& pool, const KernelArguments& arguments) {
      pool.parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
        HWY_DYNAMIC_DISPATCH(layernorm_rows)(arguments, adds, epsilon, begin, end);
      });
    });
  };
}

std::unique_ptr<Kernel> backward_kernel(const PrepareContext& context) {
  const Shape& shape = context.types.inputs[1].shape;
  const std::int64_t rows = shape.leading_count();
  const std::int64_t columns = shape[-1];
  const int sums = context.types.outputs.size() > 2 ? 2 : 1;
  const std::uint32_t accumulate = context.accumulate;
  return make_cpu_kernel(
      [=](ThreadPool& pool, const KernelArguments& arguments) {
        run_norm_backward(
            pool, arguments.workspace, rows, columns, sums,
            [&](float* partials, std::int64_t begin, std::int64_t end) {
              HWY_DYNAMIC_DISPATCH(layernorm_backward_rows)
              (arguments, (accumulate & 1U) != 0, partials, begin, end);
            },
            [&](const float* partials, std::int64_t chunks, std::int64_t stride, std::int64_t begin,
                std::int64_t end, int sum) {
              const int output = 1 + sum;
              HWY_DYNAMIC_DISPATCH(layernorm_sum_chunks)
              (partials, chunks, stride,
               arguments.outputs[static_cast<std::size_t>(output)].as<float>(),
               ((accumulate >> output) & 1U) != 0, begin, end);
            });
      },
      norm_partial_bytes(rows, columns, sums));
}

}  // namespace

void add_layernorm_kernels(Registry& registry) {
  registry.add_kernel("layernorm", DeviceKind::kCpu, forward_factory(false));
  registry.add_kernel("add_layernorm", DeviceKind::kCpu, forward_factory(true));
  registry.add_kernel("layernorm_backward", DeviceKind::kCpu, backward_kernel);
}

}  // namespace ingot::cpu
#endif  // HWY_ONCE
