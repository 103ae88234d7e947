// CPU kernel of lion: one pass over master weights, gradient and momentum, which also writes the
// bf16 weights.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/lion/lion_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>

#include "ops/optimizer.hpp"
#include "ops/simd-inl.hpp"

// Shared by the instruction sets this file is compiled for.
#ifndef INGOT_OPS_LION_SCALARS
#define INGOT_OPS_LION_SCALARS
namespace ingot::cpu {

/// The formula's constants for one chunk, computed in f64.
struct LionScalars {
  float gradient_scale;
  float keep;  ///< 1 - learning rate * decay
  float one_minus_beta1;
  float one_minus_beta2;
  float rate;
};

}  // namespace ingot::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

void lion_range(const KernelArguments& arguments, const cpu::LionScalars& scalars,
                std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  float* master = arguments.inputs[0].as<float>();
  const float* gradient = arguments.inputs[1].as<float>();
  float* first = arguments.inputs[2].as<float>();
  auto* compute = static_cast<Bf16*>(const_cast<void*>(data_of(arguments.inputs, 5)));
  const auto gradient_scale = hn::Set(d, scalars.gradient_scale);
  const auto keep = hn::Set(d, scalars.keep);
  const auto one_minus_beta1 = hn::Set(d, scalars.one_minus_beta1);
  const auto one_minus_beta2 = hn::Set(d, scalars.one_minus_beta2);
  const auto rate = hn::Set(d, scalars.rate);
  const auto zero = hn::Zero(d);
  for_each_vector(d, end - begin, [&](std::int64_t offset, auto extent) HWY_ATTR {
    const std::int64_t i = begin + offset;
    auto weight = load(d, master + i, extent);
    const auto g = hn::Mul(load(d, gradient + i, extent), gradient_scale);
    const auto m = load(d, first + i, extent);
    const auto distance = hn::Sub(g, m);
    const auto direction = hn::MulAdd(distance, one_minus_beta1, m);
    // rate * sign(direction); the sign of zero is zero.
    const auto step = hn::IfThenZeroElse(hn::Eq(direction, zero), hn::CopySign(rate, direction));
    weight = hn::Sub(hn::Mul(weight, keep), step);
    store(d, hn::MulAdd(distance, one_minus_beta2, m), first + i, extent);
    store(d, weight, master + i, extent);
    if (compute != nullptr) store(d, weight, compute + i, extent);
  });
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot::cpu {

HWY_EXPORT(lion_range);

namespace {

std::unique_ptr<Kernel> lion_kernel(const PrepareContext& context) {
  const Attributes& attributes = context.types.attributes;
  const std::int64_t chunk = attributes.integer("chunk");
  const double beta1 = attributes.real("beta1");
  const double beta2 = attributes.real("beta2");
  return make_cpu_kernel([=](ThreadPool& pool, const KernelArguments& arguments) {
    const StepScalars& step = scalars_of(arguments, 4);

    for_each_chunk(pool, arguments, 1, chunk,
                   [&](double factor, double decay, std::int64_t begin, std::int64_t end) {
                     const double rate = step.learning_rate * factor;
                     const LionScalars scalars{
                         .gradient_scale = static_cast<float>(step.gradient_scale),
                         .keep = static_cast<float>(1 - rate * decay),
                         .one_minus_beta1 = static_cast<float>(1 - beta1),
                         .one_minus_beta2 = static_cast<float>(1 - beta2),
                         .rate = static_cast<float>(rate)};
                     HWY_DYNAMIC_DISPATCH(lion_range)(arguments, scalars, begin, end);
                   });
  });
}

}  // namespace

void add_lion_kernels(Registry& registry) {
  registry.add_kernel("lion", DeviceKind::kCpu, lion_kernel);
}

}  // namespace ingot::cpu
#endif  // HWY_ONCE
