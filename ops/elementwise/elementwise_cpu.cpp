// CPU kernels of add, cast and copy: one pass over memory, cut into pieces of 64 KiB of f32.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/elementwise/elementwise_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstring>

#include "ops/cpu_kernel.hpp"
#include "ops/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

template <typename T>
void add_as(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  const T* a = arguments.inputs[0].as<T>() + begin;
  const T* b = arguments.inputs[1].as<T>() + begin;
  T* y = arguments.outputs[0].as<T>() + begin;
  for_each_vector(d, end - begin, [&](std::int64_t i, auto extent) HWY_ATTR {
    store(d, hn::Add(load(d, a + i, extent), load(d, b + i, extent)), y + i, extent);
  });
}

void add_range(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  if (arguments.outputs[0].type.dtype == DType::kF32) {
    add_as<float>(arguments, begin, end);
  } else {
    add_as<Bf16>(arguments, begin, end);
  }
}

template <typename From, typename To>
void cast_as(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  const From* x = arguments.inputs[0].as<From>() + begin;
  To* y = arguments.outputs[0].as<To>() + begin;
  for_each_vector(d, end - begin, [&](std::int64_t i, auto extent) HWY_ATTR {
    store(d, load(d, x + i, extent), y + i, extent);
  });
}

void cast_range(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  if (arguments.outputs[0].type.dtype == DType::kF32) {
    cast_as<Bf16, float>(arguments, begin, end);
  } else {
    cast_as<float, Bf16>(arguments, begin, end);
  }
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot::cpu {

HWY_EXPORT(add_range);
HWY_EXPORT(cast_range);

namespace {

constexpr std::int64_t kPiece = 16384;

std::unique_ptr<Kernel> add_kernel(const PrepareContext& /*context*/) {
  return make_cpu_kernel([](ThreadPool& pool, const KernelArguments& arguments) {
    pool.parallel_for(arguments.outputs[0].count(), kPiece,
                      [&](std::int64_t begin, std::int64_t end) {
                        HWY_DYNAMIC_DISPATCH(add_range)(arguments, begin, end);
                      });
  });
}

void copy_bytes(ThreadPool& pool, const KernelArguments& arguments) {
  const auto* from = static_cast<const std::byte*>(arguments.inputs[0].data);
  auto* to = static_cast<std::byte*>(arguments.outputs[0].data);
  pool.parallel_for(arguments.outputs[0].type.bytes(), 4 * kPiece,
                    [&](std::int64_t begin, std::int64_t end) {
                      std::memcpy(to + begin, from + begin, static_cast<std::size_t>(end - begin));
                    });
}

std::unique_ptr<Kernel> copy_kernel(const PrepareContext& /*context*/) {
  return make_cpu_kernel(copy_bytes);
}

std::unique_ptr<Kernel> cast_kernel(const PrepareContext& context) {
  if (context.types.inputs[0].dtype == context.types.outputs[0].dtype) return copy_kernel(context);
  return make_cpu_kernel([](ThreadPool& pool, const KernelArguments& arguments) {
    pool.parallel_for(arguments.outputs[0].count(), kPiece,
                      [&](std::int64_t begin, std::int64_t end) {
                        HWY_DYNAMIC_DISPATCH(cast_range)(arguments, begin, end);
                      });
  });
}

}  // namespace

void add_elementwise_kernels(Registry& registry) {
  registry.add_kernel("add", DeviceKind::kCpu, add_kernel);
  registry.add_kernel("cast", DeviceKind::kCpu, cast_kernel);
  registry.add_kernel("copy", DeviceKind::kCpu, copy_kernel);
}

}  // namespace ingot::cpu
#endif  // HWY_ONCE
