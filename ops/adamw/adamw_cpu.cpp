// CPU kernel of adamw: one pass over master weights, gradient and moments, which also writes the
// bf16 weights.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/adamw/adamw_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>

#include "ops/optimizer.hpp"
#include "ops/simd-inl.hpp"

// Shared by the instruction sets this file is compiled for.
#ifndef INGOT_OPS_ADAMW_SCALARS
#define INGOT_OPS_ADAMW_SCALARS
namespace ingot::cpu {

/// The formula's constants for one chunk, computed in f64.
struct AdamwScalars {
  float gradient_scale;
  float keep;  ///< 1 - learning rate * decay
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float step_size;          ///< learning rate / (1 - beta1^t)
  float second_correction;  ///< 1 / sqrt(1 - beta2^t)
  float epsilon;
};

}  // namespace ingot::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

void adamw_range(const KernelArguments& arguments, const cpu::AdamwScalars& scalars,
                 std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  float* master = arguments.inputs[0].as<float>();
  const float* gradient = arguments.inputs[1].as<float>();
  float* first = arguments.inputs[2].as<float>();
  float* second = arguments.inputs[3].as<float>();
  auto* compute = static_cast<Bf16*>(const_cast<void*>(data_of(arguments.inputs, 6)));
  const auto gradient_scale = hn::Set(d, scalars.gradient_scale);
  const auto keep = hn::Set(d, scalars.keep);
  const auto one_minus_beta1 = hn::Set(d, scalars.one_minus_beta1);
  const auto beta2 = hn::Set(d, scalars.beta2);
  const auto one_minus_beta2 = hn::Set(d, scalars.one_minus_beta2);
  const auto step_size = hn::Set(d, scalars.step_size);
  const auto second_correction = hn::Set(d, scalars.second_correction);
  const auto epsilon = hn::Set(d, scalars.epsilon);
  for_each_vector(d, end - begin, [&](std::int64_t offset, auto extent) HWY_ATTR {
    const std::int64_t i = begin + offset;
    auto weight = load(d, master + i, extent);
    const auto g = hn::Mul(load(d, gradient + i, extent), gradient_scale);
    auto m = load(d, first + i, extent);
    auto v = load(d, second + i, extent);
    m = hn::MulAdd(hn::Sub(g, m), one_minus_beta1, m);
    v = hn::MulAdd(v, beta2, hn::Mul(hn::Mul(g, g), one_minus_beta2));
    const auto denominator = hn::MulAdd(hn::Sqrt(v), second_correction, epsilon);
    weight = hn::Mul(weight, keep);
    weight = hn::NegMulAdd(step_size, hn::Div(m, denominator), weight);
    store(d, m, first + i, extent);
    store(d, v, second + i, extent);
    store(d, weight, master + i, extent);
    if (compute != nullptr) store(d, weight, compute + i, extent);
  });
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot::cpu {

HWY_EXPORT(adamw_range);

namespace {

std::unique_ptr<Kernel> adamw_kernel(const PrepareContext& context) {
  const Attributes& attributes = context.types.attributes;
  const std::int64_t chunk = attributes.integer("chunk");
  const double beta1 = attributes.real("beta1");
  const double beta2 = attributes.real("beta2");
  const double epsilon = attributes.real("epsilon");
  return make_cpu_kernel([=](ThreadPool& pool, const KernelArguments& arguments) {
    const StepScalars& step = scalars_of(arguments, 5);
    const auto t = static_cast<double>(step.adam_step);
    const double first_correction = 1 - std::pow(beta1, t);
    const double second_correction = 1 / std::sqrt(1 - std::pow(beta2, t));
    for_each_chunk(pool, arguments, 2, chunk,
                   [&](double factor, double decay, std::int64_t begin, std::int64_t end) {
                     const double rate = step.learning_rate * factor;
                     const AdamwScalars scalars{
                         .gradient_scale = static_cast<float>(step.gradient_scale),
                         .keep = static_cast<float>(1 - rate * decay),
                         .one_minus_beta1 = static_cast<float>(1 - beta1),
                         .beta2 = static_cast<float>(beta2),
                         .one_minus_beta2 = static_cast<float>(1 - beta2),
                         .step_size = static_cast<float>(rate / first_correction),
                         .second_correction = static_cast<float>(second_correction),
                         .epsilon = static_cast<float>(epsilon)};
                     HWY_DYNAMIC_DISPATCH(adamw_range)(arguments, scalars, begin, end);
                   });
  });
}

}  // namespace

void add_adamw_kernels(Registry& registry) {
  registry.add_kernel("adamw", DeviceKind::kCpu, adamw_kernel);
}

}  // namespace ingot::cpu
#endif  // HWY_ONCE
