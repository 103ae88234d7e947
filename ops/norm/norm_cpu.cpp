// CPU kernels of square_sums and finish_norm. Squares are taken and added in f64, so that neither
// large gradients overflow nor many small ones are lost.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/norm/norm_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

#include "ops/cpu_kernel.hpp"
#include "ops/simd-inl.hpp"
#include "ops/step_scalars.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

double square_sum(const float* values, std::int64_t count) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> narrow;
  auto even = hn::Zero(d);
  auto odd = hn::Zero(d);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    const auto a = hn::PromoteTo(d, hn::LoadU(narrow, values + i));
    const auto b = hn::PromoteTo(d, hn::LoadU(narrow, values + i + lanes));
    even = hn::MulAdd(a, a, even);
    odd = hn::MulAdd(b, b, odd);
  }
  double sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
  for (; i < count; ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return sum;
}

void square_sums_range(const KernelArguments& arguments, std::int64_t chunk, std::int64_t begin,
                       std::int64_t end) {
  const float* gradient = arguments.inputs[0].as<float>();
  auto* sums = arguments.outputs[0].as<double>();
  for (std::int64_t i = begin; i < end; ++i) sums[i] = square_sum(gradient + i * chunk, chunk);
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot::cpu {

HWY_EXPORT(square_sums_range);

namespace {

std::unique_ptr<Kernel> square_sums_kernel(const PrepareContext& context) {
  const std::int64_t chunk = context.types.attributes.integer("chunk");
  return make_cpu_kernel([=](ThreadPool& pool, const KernelArguments& arguments) {
    const std::int64_t grain = std::max<std::int64_t>(1, 16384 / chunk);
    pool.parallel_for(arguments.outputs[0].count(), grain,
                      [&](std::int64_t begin, std::int64_t end) {
                        HWY_DYNAMIC_DISPATCH(square_sums_range)(arguments, chunk, begin, end);
                      });
  });
}

void finish_norm(ThreadPool& /*pool*/, const KernelArguments& arguments) {
  const auto* partials = arguments.inputs[0].as<double>();
  auto& scalars = *static_cast<StepScalars*>(arguments.inputs[1].data);
  const std::int64_t count = arguments.inputs[0].count();
  double sum = 0;
  if (arguments.inputs.size() > 2 && arguments.inputs[2].data != nullptr) {
    const auto* order = arguments.inputs[2].as<std::int32_t>();
    for (std::int64_t i = 0; i < arguments.inputs[2].count(); ++i) {
      ensure(order[i] >= 0 && order[i] < count, "an order of partial sums that exist");
      sum += partials[order[i]];
    }
  } else {
    for (std::int64_t i = 0; i < count; ++i) sum += partials[i];
  }
  scalars.gradient_norm = std::sqrt(sum) / scalars.counted;
  if (!std::isfinite(scalars.gradient_norm)) {
    scalars.skip = 1;
    scalars.gradient_scale = 0;
    return;
  }
  scalars.skip = 0;
  double clip = 1;
  if (scalars.clip_norm > 0) {
    clip = std::min(1.0, scalars.clip_norm / (scalars.gradient_norm + 1e-6));
  }
  scalars.gradient_scale = clip / scalars.counted;
}

}  // namespace

void add_norm_kernels(Registry& registry) {
  registry.add_kernel("square_sums", DeviceKind::kCpu, square_sums_kernel);
  registry.add_kernel("finish_norm", DeviceKind::kCpu, [](const PrepareContext& /*context*/) {
    return make_cpu_kernel(finish_norm);
  });
}

}  // namespace ingot::cpu
#endif  // HWY_ONCE
