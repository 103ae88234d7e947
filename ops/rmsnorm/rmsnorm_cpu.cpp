// CPU kernels of rmsnorm, add_rmsnorm and rmsnorm_backward. Rows and column sums are layernorm's,
// instantiated without the mean.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rmsnorm/rmsnorm_cpu.cpp"
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
void rmsnorm_as(const KernelArguments& arguments, bool adds, float epsilon, std::int64_t begin,
                std::int64_t end) {
  const std::span<const TensorView> in = arguments.inputs;
  const std::span<const TensorView> out = arguments.outputs;
  const std::size_t gamma = adds ? 2 : 1;
  const std::size_t y = adds ? 1 : 0;
  NormForward<T> norm{};
  norm.x = in[0].as<T>();
  norm.add = adds ? in[1].as<T>() : nullptr;
  norm.gamma = in[gamma].as<T>();
  norm.sum = adds ? out[0].as<T>() : nullptr;
  norm.y = out[y].as<T>();
  norm.rstd = out[y + 1].as<float>();
  norm.columns = in[0].type.shape[-1];
  norm.epsilon = epsilon;
  norm_forward_rows<false>(norm, begin, end);
}

void rmsnorm_rows(const KernelArguments& arguments, bool adds, float epsilon, std::int64_t begin,
                  std::int64_t end) {
  if (arguments.inputs[0].type.dtype == DType::kF32) {
    rmsnorm_as<float>(arguments, adds, epsilon, begin, end);
  } else {
    rmsnorm_as<Bf16>(arguments, adds, epsilon, begin, end);
  }
}

template <typename T>
void rmsnorm_backward_as(const KernelArguments& arguments, bool accumulate, float* partials,
                         std::int64_t begin, std::int64_t end) {
  const std::span<const TensorView> in = arguments.inputs;
  NormBackward<T> norm{};
  norm.dy = in[0].as<T>();
  norm.x = in[1].as<T>();
  norm.rstd = in[2].as<float>();
  norm.gamma = in[3].as<T>();
  norm.residual = static_cast<const T*>(data_of(in, 4));
  norm.dx = arguments.outputs[0].as<T>();
  norm.accumulate = accumulate;
  norm.columns = in[1].type.shape[-1];
  norm_backward_rows<false>(norm, partials, nullptr, begin, end);
}

void rmsnorm_backward_rows(const KernelArguments& arguments, bool accumulate, float* partials,
                           std::int64_t begin, std::int64_t end) {
  if (arguments.inputs[1].type.dtype == DType::kF32) {
    rmsnorm_backward_as<float>(arguments, accumulate, partials, begin, end);
  } else {
    rmsnorm_backward_as<Bf16>(arguments, accumulate, partials, begin, end);
  }
}

void rmsnorm_sum_chunks(const float* partials, std::int64_t chunks, std::int64_t stride, float* to,
                        bool accumulate, std::int64_t begin, std::int64_t end) {
  sum_chunks(partials, chunks, stride, to, accumulate, begin, end);
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot::cpu {

HWY_EXPORT(rmsnorm_rows);
HWY_EXPORT(rmsnorm_backward_rows);
HWY_EXPORT(rmsnorm_sum_chunks);

namespace {

KernelFactory forward_factory(bool adds) {
  return [adds](const PrepareContext& context) {
    const Shape& shape = context.types.inputs[0].shape;
    const std::int64_t rows = shape.leading_count();
    const std::int64_t grain = std::max<std::int64_t>(1, 8192 / shape[-1]);
    const auto epsilon = static_cast<float>(context.types.attributes.real("epsilon"));
    return make_cpu_kernel([=](ThreadPool& pool, const KernelArguments& arguments) {
      pool.parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
        HWY_DYNAMIC_DISPATCH(rmsnorm_rows)(arguments, adds, epsilon, begin, end);
      });
    });
  };
}

std::unique_ptr<Kernel> backward_kernel(const PrepareContext& context) {
  const Shape& shape = context.types.inputs[1].shape;
  const std::int64_t rows = shape.leading_count();
  const std::int64_t columns = shape[-1];
  const std::uint32_t accumulate = context.accumulate;
  return make_cpu_kernel(
      [=](ThreadPool& pool, const KernelArguments& arguments) {
        run_norm_backward(
            pool, arguments.workspace, rows, columns, 1,
            [&](float* partials, std::int64_t begin, std::int64_t end) {
              HWY_DYNAMIC_DISPATCH(rmsnorm_backward_rows)
              (arguments, (accumulate & 1U) != 0, partials, begin, end);
            },
            [&](const float* partials, std::int64_t chunks, std::int64_t stride, std::int64_t begin,
                std::int64_t end, int sum) {
              const int output = 1 + sum;
              HWY_DYNAMIC_DISPATCH(rmsnorm_sum_chunks)
              (partials, chunks, stride,
               arguments.outputs[static_cast<std::size_t>(output)].as<float>(),
               ((accumulate >> output) & 1U) != 0, begin, end);
            });
      },
      norm_partial_bytes(rows, columns, 1));
}

}  // namespace

void add_rmsnorm_kernels(Registry& registry) {
  registry.add_kernel("rmsnorm", DeviceKind::kCpu, forward_factory(false));
  registry.add_kernel("add_rmsnorm", DeviceKind::kCpu, forward_factory(true));
  registry.add_kernel("rmsnorm_backward", DeviceKind::kCpu, backward_kernel);
}

}  // namespace ingot::cpu
#endif  // HWY_ONCE
