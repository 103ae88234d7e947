// Causal self-attention over packed queries, keys and values, its backward, and attention over a
// key/value cache for generation.
//
// qkv is f[B, T, (H + 2G) * D]: for each position H query heads, then G key heads, then G value
// heads, of D elements each. Query head h uses key and value head h / (H / G).
#include <memory>

#include "ops/attention/attention_cpu.hpp"
#include "ops/contract.hpp"
#include "ops/op.hpp"
#include "ops/step_scalars.hpp"

namespace ingot {

namespace {

struct Heads {
  std::int64_t query;
  std::int64_t key;
  std::int64_t size;
};

/// Reads the head counts and checks that qkv's last extent fits them.
Heads heads_of(std::string_view op, std::span<const TensorType> inputs, const TensorType& qkv,
               const Attributes& attributes) {
  const std::int64_t heads = attributes.integer("heads");
  const std::int64_t kv_heads = attributes.integer("kv_heads");
  expect(heads > 0 && kv_heads > 0 && heads % kv_heads == 0, op, inputs,
         "attribute kv_heads to divide attribute heads");
  expect(is_floating(qkv) && qkv.shape.rank() == 3 && qkv.shape[2] > 0 &&
             qkv.shape[2] % (heads + 2 * kv_heads) == 0,
         op, inputs, "qkv f[B, T, (H + 2G) * D]");
  return {heads, kv_heads, qkv.shape[2] / (heads + 2 * kv_heads)};
}

/// Checks documents? i32[B, T], samples? i64[B] and scalars?, which stand from input `first` on.
void check_optional(std::string_view op, std::span<const TensorType> inputs, std::size_t first,
                    const Shape& qkv, const Attributes& attributes) {
  expect(!present(inputs, first) || inputs[first] == TensorType{DType::kI32, Shape{qkv[0], qkv[1]}},
         op, inputs, "documents i32[B, T]");
  const double dropout = attributes.real("dropout", 0);
  expect(dropout >= 0 && dropout < 1, op, inputs, "attribute dropout in [0, 1)");
  if (dropout == 0) return;
  expect(present(inputs, first + 1) &&
             inputs[first + 1] == TensorType{DType::kI64, Shape{qkv[0]}} &&
             present(inputs, first + 2) && inputs[first + 2] == step_scalars_type(),
         op, inputs, "samples i64[B] and the step scalars, because dropout is above 0");
}

/// Position pairs (t, j) with j <= t, for all batches and heads. Document boundaries are not known
/// here and make it less.
double visible_pairs(const Shape& qkv, std::int64_t heads) {
  const auto tokens = static_cast<double>(qkv[1]);
  return static_cast<double>(qkv[0] * heads) * tokens * (tokens + 1) / 2;
}

/// attention: qkv, documents? i32[B, T], samples? i64[B], scalars? -> out f[B, T, H * D],
/// log_sum_exp f32[B, H, T]. Attributes: integers heads, kv_heads, layer; real dropout (0).
///
/// Position t sees the positions j in [documents[t], t]; documents[t] is the index in the sequence
/// at which t's document starts (absent: 0). Scores are scaled by 1 / sqrt(D).
///
/// Dropout acts on probabilities: (b, h, t, j) is kept when u >= dropout and then scaled by
/// 1 / (1 - dropout). With row = (layer * H + h) * T + t, u is uniform_float of word j % 4 of
/// philox(scalars.seed, kAttentionDropout, samples[b], row * ceil(T / 4) + j / 4).
class Attention final : public Op {
 public:
  std::string_view name() const override { return "attention"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 1, 4);
    const TensorType& qkv = inputs[0];
    const Heads heads = heads_of(name(), inputs, qkv, attributes);
    check_optional(name(), inputs, 1, qkv.shape, attributes);
    return {{qkv.dtype, qkv.shape.with_last(heads.query * heads.size)},
            {DType::kF32, Shape{qkv.shape[0], heads.query, qkv.shape[1]}}};
  }
  Cost cost(const OpTypes& types) const override {
    const TensorType& qkv = types.inputs[0];
    const Heads heads = heads_of(name(), types.inputs, qkv, types.attributes);
    const double pairs = visible_pairs(qkv.shape, heads.query);
    Cost cost = streaming_cost(types, 0);
    cost.matrix_flops = pairs * 4 * static_cast<double>(heads.size);
    cost.other_flops = pairs * 20;
    return cost;
  }
  BackwardReads backward_reads(const Attributes& /*attributes*/) const override {
    return {.inputs = 0b1111, .outputs = 0b11};
  }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    const ValueId dout = builder.output_gradient(0);
    if (dout == kNoValue || !builder.wanted(0)) return;
    const auto optional = [&](int index) {
      return has_input(builder, index) ? builder.input(index) : kNoValue;
    };
    builder.emit("attention_backward",
                 {dout, builder.input(0), builder.output(0), builder.output(1), optional(1),
                  optional(2), optional(3)},
                 builder.attributes(), {0});
  }
};

/// attention_backward: dout f[B, T, H * D], qkv, out, log_sum_exp, documents?, samples?, scalars?
/// -> dqkv f[B, T, (H + 2G) * D]. Probabilities are computed again from log_sum_exp, dropout is
/// drawn again. Attributes as in attention.
class AttentionBackward final : public Op {
 public:
  std::string_view name() const override { return "attention_backward"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 4, 7);
    const TensorType& qkv = inputs[1];
    const Heads heads = heads_of(name(), inputs, qkv, attributes);
    const TensorType out{qkv.dtype, qkv.shape.with_last(heads.query * heads.size)};
    expect(inputs[0] == out && inputs[2] == out &&
               inputs[3] == TensorType{DType::kF32, Shape{qkv.shape[0], heads.query, qkv.shape[1]}},
           name(), inputs,
           "dout f[B, T, H * D], qkv, out f[B, T, H * D], log_sum_exp f32[B, H, T]");
    check_optional(name(), inputs, 4, qkv.shape, attributes);
    return {qkv};
  }
  Cost cost(const OpTypes& types) const override {
    const TensorType& qkv = types.inputs[1];
    const Heads heads = heads_of(name(), types.inputs, qkv, types.attributes);
    const double pairs = visible_pairs(qkv.shape, heads.query);
    Cost cost = streaming_cost(types, 0);
    cost.matrix_flops = pairs * 10 * static_cast<double>(heads.size);
    cost.other_flops = pairs * 22;
    return cost;
  }
};

/// attention_cached: qkv f[B, S, (H + 2G) * D], cache f[B, 2, C, G * D] (mutated), scalars
/// -> out f[B, S, H * D]. Writes the keys and values of the S positions into the cache (keys at
/// [b, 0], values at [b, 1]) from position scalars.cache_length on; query i then sees the cache's
/// positions [0, cache_length + i]. Positions past C are neither written nor read. Attributes:
/// integers heads, kv_heads.
class AttentionCached final : public Op {
 public:
  std::string_view name() const override { return "attention_cached"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 3, 3);
    const TensorType& qkv = inputs[0];
    const TensorType& cache = inputs[1];
    const Heads heads = heads_of(name(), inputs, qkv, attributes);
    expect(cache.dtype == qkv.dtype && cache.shape.rank() == 4 && cache.shape[0] == qkv.shape[0] &&
               cache.shape[1] == 2 && cache.shape[2] > 0 &&
               cache.shape[3] == heads.key * heads.size && inputs[2] == step_scalars_type(),
           name(), inputs, "qkv f[B, S, (H + 2G) * D], cache f[B, 2, C, G * D], step scalars");
    return {{qkv.dtype, qkv.shape.with_last(heads.query * heads.size)}};
  }
  Cost cost(const OpTypes& types) const override {
    // The length of the cache is not known here; this is the cost of a full one.
    const TensorType& qkv = types.inputs[0];
    const Heads heads = heads_of(name(), types.inputs, qkv, types.attributes);
    const double pairs = static_cast<double>(qkv.shape.leading_count() * heads.query) *
                         static_cast<double>(types.inputs[1].shape[2]);
    Cost cost = streaming_cost(types, 0);
    cost.matrix_flops = pairs * 4 * static_cast<double>(heads.size);
    cost.other_flops = pairs * 20;
    return cost;
  }
  std::uint32_t mutated_inputs() const override { return 0b10; }
};

}  // namespace

void register_attention(Registry& registry) {
  registry.add(std::make_unique<Attention>());
  registry.add(std::make_unique<AttentionBackward>());
  registry.add(std::make_unique<AttentionCached>());
  registry.add_kernel("attention", DeviceKind::kCpu, cpu::prepare_attention);
  registry.add_kernel("attention_backward", DeviceKind::kCpu, cpu::prepare_attention_backward);
  registry.add_kernel("attention_cached", DeviceKind::kCpu, cpu::prepare_attention_cached);
}

}  // namespace ingot
