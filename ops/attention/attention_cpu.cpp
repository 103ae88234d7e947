// attention on the CPU: heads are shared among the threads, each with scratch memory of its own.
#include "ops/attention/attention_cpu.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "ops/attention/attention_simd.hpp"
#include "ops/contract.hpp"
#include "ops/cpu_kernel.hpp"
#include "ops/step_scalars.hpp"
#include "ops/workspace_slots.hpp"

namespace ingot::cpu {

namespace {

int threads_of(const PrepareContext& context) {
  return static_cast<CpuDevice&>(context.device).pool().threads();
}

AttentionShape shape_of(const TensorType& qkv, const Attributes& attributes) {
  AttentionShape shape;
  shape.batch = qkv.shape[0];
  shape.tokens = qkv.shape[1];
  shape.heads = attributes.integer("heads");
  shape.kv_heads = attributes.integer("kv_heads");
  shape.head_size = qkv.shape[2] / (shape.heads + 2 * shape.kv_heads);
  shape.layer = attributes.integer("layer", 0);
  shape.dropout = static_cast<float>(attributes.real("dropout", 0));
  shape.dtype = qkv.dtype;
  return shape;
}

/// documents?, samples? and scalars?, which stand from input `first` on.
void take_optional(const AttentionShape& shape, std::span<const TensorView> inputs,
                   std::size_t first, AttentionArguments& arguments) {
  arguments.documents = static_cast<const std::int32_t*>(data_of(inputs, first));
  if (shape.dropout == 0) return;
  arguments.samples = static_cast<const std::int64_t*>(data_of(inputs, first + 1));
  arguments.seed = static_cast<const StepScalars*>(data_of(inputs, first + 2))->seed;
}

using PieceFunction = void (*)(const AttentionShape&, const AttentionArguments&, std::int64_t,
                               std::int64_t, float*);

/// Runs `piece` for every batch and every one of `per_batch` heads or groups.
void run_pieces(ThreadPool& pool, WorkspaceSlots& slots, std::byte* workspace,
                const AttentionShape& shape, const AttentionArguments& arguments,
                std::int64_t per_batch, PieceFunction piece) {
  pool.parallel_for(shape.batch * per_batch, 1, [&](std::int64_t begin, std::int64_t /*end*/) {
    const WorkspaceSlots::Lease slot(slots);
    piece(shape, arguments, begin / per_batch, begin % per_batch,
          reinterpret_cast<float*>(slot.memory(workspace)));
  });
}

std::unique_ptr<WorkspaceSlots> create_slots(const PrepareContext& context, std::int64_t floats) {
  return std::make_unique<WorkspaceSlots>(threads_of(context), floats * size_of(DType::kF32));
}

}  // namespace

std::unique_ptr<Kernel> prepare_attention(const PrepareContext& context) {
  const AttentionShape shape = shape_of(context.types.inputs[0], context.types.attributes);
  auto slots = create_slots(context, ForwardScratch::floats(shape));
  const std::int64_t workspace = slots->workspace_bytes();
  return make_cpu_kernel(
      [shape, slots = std::move(slots)](ThreadPool& pool, const KernelArguments& arguments) {
        AttentionArguments attention;
        attention.qkv = arguments.inputs[0].data;
        attention.out = arguments.outputs[0].data;
        attention.log_sum_exp = arguments.outputs[1].as<float>();
        take_optional(shape, arguments.inputs, 1, attention);
        run_pieces(pool, *slots, arguments.workspace.data(), shape, attention, shape.heads,
                   attention_head);
      },
      workspace);
}

std::unique_ptr<Kernel> prepare_attention_backward(const PrepareContext& context) {
  const AttentionShape shape = shape_of(context.types.inputs[1], context.types.attributes);
  auto slots = create_slots(context, BackwardScratch::floats(shape));
  const std::int64_t workspace = slots->workspace_bytes();
  return make_cpu_kernel(
      [shape, slots = std::move(slots)](ThreadPool& pool, const KernelArguments& arguments) {
        AttentionArguments attention;
        attention.out_gradient = arguments.inputs[0].data;
        attention.qkv = arguments.inputs[1].data;
        attention.out = arguments.inputs[2].data;
        attention.log_sum_exp = arguments.inputs[3].as<float>();
        attention.qkv_gradient = arguments.outputs[0].data;
        take_optional(shape, arguments.inputs, 4, attention);
        run_pieces(pool, *slots, arguments.workspace.data(), shape, attention, shape.kv_heads,
                   attention_group_backward);
      },
      workspace);
}

std::unique_ptr<Kernel> prepare_attention_cached(const PrepareContext& context) {
  const AttentionShape shape = shape_of(context.types.inputs[0], context.types.attributes);
  const std::int64_t capacity = context.types.inputs[1].shape[2];
  auto slots = create_slots(context, capacity + 16);
  const std::int64_t workspace = slots->workspace_bytes();
  return make_cpu_kernel(
      [shape, capacity, slots = std::move(slots)](ThreadPool& pool,
                                                  const KernelArguments& arguments) {
        const std::int64_t element = size_of(shape.dtype);
        const auto* qkv = static_cast<const std::byte*>(arguments.inputs[0].data);
        auto* cache = static_cast<std::byte*>(arguments.inputs[1].data);
        auto* out = static_cast<std::byte*>(arguments.outputs[0].data);
        const std::int64_t before =
            static_cast<const StepScalars*>(arguments.inputs[2].data)->cache_length;
        ensure(before >= 0, "a length of the KV cache that is not negative");
        const std::int64_t cache_row = shape.kv_heads * shape.head_size;
        const std::int64_t plane = capacity * cache_row * element;  // keys or values of a batch

        // Keys, then values, of the new positions as far as the cache has room.
        const std::int64_t appended = std::clamp<std::int64_t>(capacity - before, 0, shape.tokens);
        pool.parallel_for(shape.batch * 2, 1, [&](std::int64_t begin, std::int64_t /*end*/) {
          const std::int64_t batch = begin / 2;
          const std::int64_t first = shape.heads * shape.head_size + begin % 2 * cache_row;
          for (std::int64_t i = 0; i < appended; ++i) {
            std::memcpy(cache + begin * plane + (before + i) * cache_row * element,
                        qkv + ((batch * shape.tokens + i) * shape.width() + first) * element,
                        static_cast<std::size_t>(cache_row * element));
          }
        });
        pool.parallel_for(
            shape.batch * shape.heads, 1, [&](std::int64_t begin, std::int64_t /*end*/) {
              const WorkspaceSlots::Lease slot(*slots);
              const std::int64_t batch = begin / shape.heads;
              const std::int64_t head = begin % shape.heads;
              const std::int64_t in_row =
                  head / shape.heads_per_group() * shape.head_size * element;
              CachedHead cached;
              cached.queries =
                  qkv + (batch * shape.tokens * shape.width() + head * shape.head_size) * element;
              cached.query_stride = shape.width();
              cached.keys = cache + batch * 2 * plane + in_row;
              cached.values = cache + (batch * 2 + 1) * plane + in_row;
              cached.cache_stride = cache_row;
              cached.out =
                  out +
                  (batch * shape.tokens * shape.out_width() + head * shape.head_size) * element;
              cached.out_stride = shape.out_width();
              cached.count = shape.tokens;
              cached.visible = before + 1;
              cached.capacity = capacity;
              cached.head_size = shape.head_size;
              cached.scores = reinterpret_cast<float*>(slot.memory(arguments.workspace.data()));
              attention_cached_head(shape.dtype, cached);
            });
      },
      workspace);
}

}  // namespace ingot::cpu
