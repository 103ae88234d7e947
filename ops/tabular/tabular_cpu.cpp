// CPU kernels of tabular_input and its backward. Category vectors are short (a few to a few dozen
// elements), so a row is copied piece by piece; the backward sums by table row as embedding does.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/tabular/tabular_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "ops/cpu_kernel.hpp"
#include "ops/index_groups.hpp"
#include "ops/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

template <typename T>
void tabular_input_as(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  const std::span<const TensorView> in = arguments.inputs;
  const std::int64_t features = in[0].type.shape[1];
  const std::int64_t categories = in[1].type.shape[1];
  const std::int64_t rows = in[2].type.shape[0];
  const std::int64_t width = in[2].type.shape[1];
  for (std::int64_t row = begin; row < end; ++row) {
    T* y = arguments.outputs[0].as<T>() + row * (features + categories * width);
    const float* numbers = in[0].as<float>() + row * features;
    for_each_vector(d, features, [&](std::int64_t i, auto extent) HWY_ATTR {
      store(d, load(d, numbers + i, extent), y + i, extent);
    });
    y += features;
    for (std::int64_t k = 0; k < categories; ++k, y += width) {
      const std::int64_t at = row * categories + k;
      const std::int64_t index = in[1].as<std::int32_t>()[at];
      cpu::expect_index("tabular_input", index, at, rows);
      std::memcpy(static_cast<void*>(y), in[2].as<T>() + index * width,
                  static_cast<std::size_t>(width) * sizeof(T));
    }
  }
}

void tabular_input_rows(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  if (arguments.outputs[0].type.dtype == DType::kF32) {
    tabular_input_as<float>(arguments, begin, end);
  } else {
    tabular_input_as<Bf16>(arguments, begin, end);
  }
}

template <typename T>
void tabular_backward_as(const KernelArguments& arguments, const cpu::IndexGroups& groups,
                         bool accumulate, std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  const std::int64_t categories = arguments.inputs[0].type.shape[1];
  const std::int64_t row_length = arguments.inputs[1].type.shape[1];
  const std::int64_t width = arguments.outputs[0].type.shape[1];
  const std::int64_t features = row_length - categories * width;
  const T* dy = arguments.inputs[1].as<T>();
  for (std::int64_t row = begin; row < end; ++row) {
    float* to = arguments.outputs[0].as<float>() + row * width;
    if (!accumulate) std::fill_n(to, width, 0.0F);
    for (std::int32_t k = groups.starts[row]; k < groups.starts[row + 1]; ++k) {
      const std::int64_t sample = groups.samples[k] / categories;
      const std::int64_t category = groups.samples[k] % categories;
      const T* from = dy + sample * row_length + features + category * width;
      for_each_vector(d, width, [&](std::int64_t i, auto extent) HWY_ATTR {
        store(d, hn::Add(load(d, to + i, extent), load(d, from + i, extent)), to + i, extent);
      });
    }
  }
}

void tabular_backward_rows(const KernelArguments& arguments, const cpu::IndexGroups& groups,
                           bool accumulate, std::int64_t begin, std::int64_t end) {
  if (arguments.inputs[1].type.dtype == DType::kF32) {
    tabular_backward_as<float>(arguments, groups, accumulate, begin, end);
  } else {
    tabular_backward_as<Bf16>(arguments, groups, accumulate, begin, end);
  }
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot::cpu {

HWY_EXPORT(tabular_input_rows);
HWY_EXPORT(tabular_backward_rows);

namespace {

std::unique_ptr<Kernel> forward_kernel(const PrepareContext& context) {
  const Shape& shape = context.types.outputs[0].shape;
  const std::int64_t rows = shape[0];
  const std::int64_t grain = std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, shape[1]));
  return make_cpu_kernel([=](ThreadPool& pool, const KernelArguments& arguments) {
    pool.parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
      HWY_DYNAMIC_DISPATCH(tabular_input_rows)(arguments, begin, end);
    });
  });
}

std::unique_ptr<Kernel> backward_kernel(const PrepareContext& context) {
  const std::int64_t count = context.types.inputs[0].count();
  const std::int64_t rows = context.types.outputs[0].shape[0];
  const bool accumulate = (context.accumulate & 1U) != 0;
  return make_cpu_kernel(
      [=](ThreadPool& pool, const KernelArguments& arguments) {
        const IndexGroups groups =
            group_indices("tabular_input_backward", arguments.inputs[0].as<std::int32_t>(), count,
                          rows, arguments.workspace);
        pool.parallel_for(rows, table_rows_of_piece(rows),
                          [&](std::int64_t begin, std::int64_t end) {
                            HWY_DYNAMIC_DISPATCH(tabular_backward_rows)
                            (arguments, groups, accumulate, begin, end);
                          });
      },
      index_groups_bytes(rows, count));
}

}  // namespace

void add_tabular_kernels(Registry& registry) {
  registry.add_kernel("tabular_input", DeviceKind::kCpu, forward_kernel);
  registry.add_kernel("tabular_input_backward", DeviceKind::kCpu, backward_kernel);
}

}  // namespace ingot::cpu
#endif  // HWY_ONCE
