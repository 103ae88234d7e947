// CPU kernels of embedding and embedding_backward. The backward sorts the indices once and then
// gives every table row to one thread, so that nothing is added atomically.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/embedding/embedding_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstring>

#include "ops/contract.hpp"
#include "ops/cpu_kernel.hpp"
#include "ops/index_groups.hpp"
#include "ops/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

template <typename T>
void embedding_as(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  const std::span<const TensorView> in = arguments.inputs;
  const auto* tokens = in[0].as<std::int32_t>();
  const T* table = in[1].as<T>();
  const std::int64_t rows = in[1].type.shape[0];
  const std::int64_t columns = in[1].type.shape[1];
  const auto* positions = static_cast<const std::int32_t*>(data_of(in, 2));
  const auto* position_table = static_cast<const T*>(data_of(in, 3));
  const std::int64_t position_rows = position_table == nullptr ? 0 : in[3].type.shape[0];
  for (std::int64_t i = begin; i < end; ++i) {
    T* y = arguments.outputs[0].as<T>() + i * columns;
    cpu::expect_index("embedding", tokens[i], i, rows);
    const T* token = table + tokens[i] * columns;
    if (position_table == nullptr) {
      std::memcpy(y, token, static_cast<std::size_t>(columns) * sizeof(T));
      continue;
    }
    cpu::expect_index("embedding", positions[i], i, position_rows);
    const T* position = position_table + positions[i] * columns;
    for_each_vector(d, columns, [&](std::int64_t c, auto extent) HWY_ATTR {
      store(d, hn::Add(load(d, token + c, extent), load(d, position + c, extent)), y + c, extent);
    });
  }
}

void embedding_rows(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  if (arguments.outputs[0].type.dtype == DType::kF32) {
    embedding_as<float>(arguments, begin, end);
  } else {
    embedding_as<Bf16>(arguments, begin, end);
  }
}

template <typename T>
void embedding_backward_as(const KernelArguments& arguments, const cpu::IndexGroups& groups,
                           bool accumulate, std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  const T* dy = arguments.inputs[1].as<T>();
  const std::int64_t columns = arguments.inputs[1].type.shape[2];
  for (std::int64_t row = begin; row < end; ++row) {
    float* to = arguments.outputs[0].as<float>() + row * columns;
    const std::int32_t first = groups.starts[row];
    const std::int32_t last = groups.starts[row + 1];
    if (first == last) {
      if (!accumulate) std::memset(to, 0, static_cast<std::size_t>(columns) * sizeof(float));
      continue;
    }
    for (std::int32_t k = first; k < last; ++k) {
      const T* from = dy + groups.samples[k] * columns;
      const bool adds = accumulate || k > first;
      for_each_vector(d, columns, [&](std::int64_t c, auto extent) HWY_ATTR {
        const auto gradient = load(d, from + c, extent);
        store(d, adds ? hn::Add(load(d, to + c, extent), gradient) : gradient, to + c, extent);
      });
    }
  }
}

void embedding_backward_rows(const KernelArguments& arguments, const cpu::IndexGroups& groups,
                             bool accumulate, std::int64_t begin, std::int64_t end) {
  if (arguments.inputs[1].type.dtype == DType::kF32) {
    embedding_backward_as<float>(arguments, groups, accumulate, begin, end);
  } else {
    embedding_backward_as<Bf16>(arguments, groups, accumulate, begin, end);
  }
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot::cpu {

HWY_EXPORT(embedding_rows);
HWY_EXPORT(embedding_backward_rows);

namespace {

std::unique_ptr<Kernel> forward_kernel(const PrepareContext& /*context*/) {
  return make_cpu_kernel([](ThreadPool& pool, const KernelArguments& arguments) {
    pool.parallel_for(arguments.inputs[0].count(), 16, [&](std::int64_t begin, std::int64_t end) {
      HWY_DYNAMIC_DISPATCH(embedding_rows)(arguments, begin, end);
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
            group_indices("embedding_backward", arguments.inputs[0].as<std::int32_t>(), count, rows,
                          arguments.workspace);
        pool.parallel_for(rows, table_rows_of_piece(rows),
                          [&](std::int64_t begin, std::int64_t end) {
                            HWY_DYNAMIC_DISPATCH(embedding_backward_rows)
                            (arguments, groups, accumulate, begin, end);
                          });
      },
      index_groups_bytes(rows, count));
}

}  // namespace

void add_embedding_kernels(Registry& registry) {
  registry.add_kernel("embedding", DeviceKind::kCpu, forward_kernel);
  registry.add_kernel("embedding_backward", DeviceKind::kCpu, backward_kernel);
}

}  // namespace ingot::cpu
#endif  // HWY_ONCE
