// What the optimizer ops share. They work on flat parameter stores: the element p belongs to chunk
// p / chunk, and the table chunk_factors f32[P / chunk, 2] gives each chunk its learning-rate
// factor and weight decay. Scalars come from the device buffer of StepScalars, so that a captured
// step needs no change; where its skip flag is set, an optimizer writes nothing.
#pragma once

#include <algorithm>
#include <utility>

#include "ops/contract.hpp"
#include "ops/cpu_kernel.hpp"
#include "ops/step_scalars.hpp"

namespace ingot {

/// Checks (master f32[P], gradient f32[P], `moments` times f32[P], chunk_factors f32[P/chunk, 2],
/// scalars, compute? bf16[P]).
inline void expect_optimizer_types(std::string_view op, std::span<const TensorType> inputs,
                                   std::size_t moments, const Attributes& attributes) {
  const std::size_t factors = 2 + moments;
  expect_inputs(op, inputs, factors + 2, factors + 3);
  const TensorType& master = inputs[0];
  const std::int64_t chunk = attributes.integer("chunk");
  expect(master.dtype == DType::kF32 && master.shape.rank() == 1 && chunk > 0 &&
             master.count() % chunk == 0,
         op, inputs, fmt::format("master f32 [P] of whole chunks of {} elements", chunk));
  for (std::size_t i = 1; i < factors; ++i) {
    expect(inputs[i] == master, op, inputs, "gradient and moments like master");
  }
  expect(inputs[factors] == TensorType{DType::kF32, Shape{master.count() / chunk, 2}}, op, inputs,
         "chunk_factors f32 [P / chunk, 2]");
  expect(inputs[factors + 1] == step_scalars_type(), op, inputs, "the step scalars");
  expect(!present(inputs, factors + 2) ||
             inputs[factors + 2] == TensorType{DType::kBf16, master.shape},
         op, inputs, "compute bf16 [P] or none");
}

/// Bits of the inputs that an optimizer with this many moments writes.
inline std::uint32_t optimizer_mutated_inputs(std::size_t moments) {
  std::uint32_t mask = 1U | (1U << (moments + 4));  // master, compute
  for (std::size_t i = 0; i < moments; ++i) mask |= 1U << (2 + i);
  return mask;
}

/// Reads master, gradient and moments, writes master, moments and the compute copy.
inline Cost optimizer_cost(const OpTypes& types, std::size_t moments, double flops_per_element) {
  Cost cost;
  const std::size_t compute = moments + 4;
  for (std::size_t i = 0; i < types.inputs.size(); ++i) {
    if (i != compute) cost.bytes_read += types.inputs[i].bytes();
    if (((optimizer_mutated_inputs(moments) >> i) & 1U) != 0) {
      cost.bytes_written += types.inputs[i].bytes();
    }
  }
  cost.other_flops = flops_per_element * static_cast<double>(types.inputs[0].count());
  return cost;
}

namespace cpu {

/// The step scalars that an op got as input i.
inline const StepScalars& scalars_of(const KernelArguments& arguments, std::size_t i) {
  return *static_cast<const StepScalars*>(arguments.inputs[i].data);
}

/// Calls body(learning_rate_factor, weight_decay, begin, end) for the elements of every chunk,
/// unless the step is skipped.
template <typename Body>
void for_each_chunk(ThreadPool& pool, const KernelArguments& arguments, std::size_t moments,
                    std::int64_t chunk, Body body) {
  if (scalars_of(arguments, 3 + moments).skip != 0) return;
  const float* factors = arguments.inputs[2 + moments].as<float>();
  const std::int64_t chunks = arguments.inputs[0].count() / chunk;
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / chunk);
  pool.parallel_for(chunks, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      body(static_cast<double>(factors[2 * i]), static_cast<double>(factors[2 * i + 1]), i * chunk,
           (i + 1) * chunk);
    }
  });
}

}  // namespace cpu
}  // namespace ingot
