// CPU kernel of ema. The average is moved towards the weights by (1 - decay) times the distance:
// with a decay near 1 this loses less to rounding than the sum of the two products.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/ema/ema_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/optimizer.hpp"
#include "ops/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

void ema_range(const KernelArguments& arguments, float pull, std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  float* average = arguments.inputs[0].as<float>() + begin;
  const float* master = arguments.inputs[1].as<float>() + begin;
  const auto weight = hn::Set(d, pull);
  for_each_vector(d, end - begin, [&](std::int64_t i, auto extent) HWY_ATTR {
    const auto old = load(d, average + i, extent);
    const auto distance = hn::Sub(load(d, master + i, extent), old);
    store(d, hn::MulAdd(distance, weight, old), average + i, extent);
  });
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot::cpu {

HWY_EXPORT(ema_range);

namespace {

std::unique_ptr<Kernel> ema_kernel(const PrepareContext& /*context*/) {
  return make_cpu_kernel([](ThreadPool& pool, const KernelArguments& arguments) {
    const StepScalars& step = scalars_of(arguments, 2);
    if (step.skip != 0) return;
    const auto pull = static_cast<float>(1 - step.ema_decay);
    pool.parallel_for(arguments.inputs[0].count(), 16384,
                      [&](std::int64_t begin, std::int64_t end) {
                        HWY_DYNAMIC_DISPATCH(ema_range)(arguments, pull, begin, end);
                      });
  });
}

}  // namespace

void add_ema_kernels(Registry& registry) {
  registry.add_kernel("ema", DeviceKind::kCpu, ema_kernel);
}

}  // namespace ingot::cpu
#endif  // HWY_ONCE
