// CPU kernel of sgd: one pass over master weights, gradient and momentum, which also writes the
// bf16 weights.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/sgd/sgd_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>

#include "ops/optimizer.hpp"
#include "ops/simd-inl.hpp"

// Shared by the instruction sets this file is compiled for.
#ifndef INGOT_OPS_SGD_SCALARS
#define INGOT_OPS_SGD_SCALARS
namespace ingot::cpu {

/// The formula's constants for one chunk, computed in f64.
struct SgdScalars {
  float gradient_scale;
  float decay;
  float momentum;
  float rate;
};

}  // namespace ingot::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

void sgd_range(const KernelArguments& arguments, const cpu::SgdScalars& scalars, std::int64_t begin,
               std::int64_t end) {
  const FloatTag d;
  float* master = arguments.inputs[0].as<float>();
  const float* gradient = arguments.inputs[1].as<float>();
  float* momentum_buffer = arguments.inputs[2].as<float>();
  auto* compute = static_cast<Bf16*>(const_cast<void*>(data_of(arguments.inputs, 5)));
  const auto gradient_scale = hn::Set(d, scalars.gradient_scale);
  const auto decay = hn::Set(d, scalars.decay);
  const auto momentum = hn::Set(d, scalars.momentum);
  const auto rate = hn::Set(d, scalars.rate);
  for_each_vector(d, end - begin, [&](std::int64_t offset, auto extent) HWY_ATTR {
    const std::int64_t i = begin + offset;
    auto weight = load(d, master + i, extent);
    auto g = hn::Mul(load(d, gradient + i, extent), gradient_scale);
    g = hn::MulAdd(decay, weight, g);
    const auto velocity = hn::MulAdd(load(d, momentum_buffer + i, extent), momentum, g);
    weight = hn::NegMulAdd(rate, velocity, weight);
    store(d, velocity, momentum_buffer + i, extent);
    store(d, weight, master + i, extent);
    if (compute != nullptr) store(d, weight, compute + i, extent);
  });
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot::cpu {

HWY_EXPORT(sgd_range);

namespace {

std::unique_ptr<Kernel> sgd_kernel(const PrepareContext& context) {
  const Attributes& attributes = context.types.attributes;
  const std::int64_t chunk = attributes.integer("chunk");
  const double momentum = attributes.real("momentum");
  return make_cpu_kernel([=](ThreadPool& pool, const KernelArguments& arguments) {
    const StepScalars& step = scalars_of(arguments, 4);

    for_each_chunk(pool, arguments, 1, chunk,
                   [&](double factor, double decay, std::int64_t begin, std::int64_t end) {
                     const SgdScalars scalars{
                         .gradient_scale = static_cast<float>(step.gradient_scale),
                         .decay = static_cast<float>(decay),
                         .momentum = static_cast<float>(momentum),
                         .rate = static_cast<float>(step.learning_rate * factor)};
                     HWY_DYNAMIC_DISPATCH(sgd_range)(arguments, scalars, begin, end);
                   });
  });
}

}  // namespace

void add_sgd_kernels(Registry& registry) {
  registry.add_kernel("sgd", DeviceKind::kCpu, sgd_kernel);
}

}  // namespace ingot::cpu
#endif  // HWY_ONCE
