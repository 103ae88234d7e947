#include "runtime/program/update.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "ops/step_scalars.hpp"

namespace ingot {

std::vector<std::string> optimizer_state(const OptimizerConfig& config) {
  std::vector<std::string> names = {store::kMoment1};
  if (config.kind == "adamw") names.emplace_back(store::kMoment2);
  if (config.ema > 0) names.emplace_back(store::kAverage);
  return names;
}

namespace {

/// The chunks that hold anything of a tensor, ascending: others pad buckets for the ranks.
std::vector<std::int64_t> used_chunks(const StoreLayout& layout) {
  std::vector<std::int64_t> chunks;
  for (std::size_t p = 0; p < layout.parameters.size(); ++p) {
    const std::int64_t first = layout.offsets[p] / kChunk;
    const std::int64_t count = (layout.parameters[p].shape.count() + kChunk - 1) / kChunk;
    for (std::int64_t chunk = first; chunk < first + count; ++chunk) chunks.push_back(chunk);
  }
  std::ranges::sort(chunks);
  return chunks;
}

/// Whether partial sums of the norm are added in an order of their own.
bool has_norm_order(const StoreLayout& layout, const ParallelPlan& parallel) {
  return parallel.shard != ShardMode::kNone ||
         static_cast<std::int64_t>(used_chunks(layout).size()) * kChunk < layout.elements;
}

}  // namespace

std::vector<StoreBuffer> store_buffers(const StoreLayout& layout, const ParallelPlan& parallel,
                                       DType compute, const OptimizerConfig* optimizer) {
  const std::int64_t whole = layout.elements;
  const std::int64_t part = parallel.state_elements(whole);
  const std::int64_t kept = parallel.shard == ShardMode::kParameters ? part : whole;
  std::vector<StoreBuffer> buffers;
  const auto flat = [&](const char* name, DType type, std::int64_t elements) {
    buffers.push_back({name, {type, Shape{elements}}, ""});
  };
  if (compute == DType::kF32) {
    flat(store::kMaster, DType::kF32, kept);
    buffers.push_back({store::kWeights, {DType::kF32, Shape{kept}}, store::kMaster});
  } else {
    flat(store::kMaster, DType::kF32, part);
    flat(store::kWeights, compute, kept);
  }
  if (optimizer == nullptr) return buffers;
  flat(store::kGradients, DType::kF32,
       parallel.slots * (parallel.reduces_each_micro() ? part : whole));
  for (const std::string& name : optimizer_state(*optimizer)) {
    flat(name.c_str(), DType::kF32, part);
  }
  buffers.push_back({store::kFactors, {DType::kF32, Shape{part / kChunk, 2}}, ""});
  if (parallel.ranks > 1) flat(store::kPartials, DType::kF64, whole / kChunk);
  if (has_norm_order(layout, parallel)) {
    flat(store::kOrder, DType::kI32, static_cast<std::int64_t>(used_chunks(layout).size()));
  }
  return buffers;
}

std::vector<ShardRange> state_ranges(const StoreLayout& layout, const ParallelPlan& parallel) {
  if (parallel.shard == ShardMode::kNone) return {{0, 0, layout.elements}};
  std::vector<ShardRange> ranges;
  for (std::size_t b = 0; b < layout.buckets.size(); ++b) {
    ranges.push_back(layout.shard_of(b, parallel.shard_rank()));
  }
  return ranges;
}

std::vector<ShardRange> master_ranges(const StoreLayout& layout, const ParallelPlan& parallel,
                                      DType compute) {
  std::vector<ShardRange> ranges = state_ranges(layout, parallel);
  const bool whole = compute == DType::kF32 && parallel.shard != ShardMode::kParameters;
  for (ShardRange& range : ranges) {
    if (whole) range.local = range.flat;
  }
  return ranges;
}

std::vector<float> chunk_factors(const StoreLayout& layout, const OptimizerConfig& config,
                                 const ParallelPlan& parallel) {
  std::vector<float> whole(static_cast<std::size_t>(layout.elements / kChunk * 2));
  for (std::size_t p = 0; p < layout.parameters.size(); ++p) {
    const ParameterSpec& parameter = layout.parameters[p];
    const bool decays = parameter.kind == ParameterKind::kMatrix ||
                        (parameter.kind == ParameterKind::kEmbedding && config.decay_embeddings);
    const std::int64_t first = layout.offsets[p] / kChunk;
    const std::int64_t chunks = (parameter.shape.count() + kChunk - 1) / kChunk;
    for (std::int64_t chunk = first; chunk < first + chunks; ++chunk) {
      whole[static_cast<std::size_t>(2 * chunk)] = 1.0F;
      whole[static_cast<std::size_t>(2 * chunk + 1)] =
          decays ? static_cast<float>(config.weight_decay) : 0.0F;
    }
  }
  std::vector<float> factors;
  for (const ShardRange& range : state_ranges(layout, parallel)) {
    const auto first = whole.begin() + static_cast<std::ptrdiff_t>(range.flat / kChunk * 2);
    factors.insert(factors.end(), first,
                   first + static_cast<std::ptrdiff_t>(range.count / kChunk * 2));
  }
  return factors;
}

std::vector<std::int32_t> norm_order(const StoreLayout& layout, const ParallelPlan& parallel) {
  std::vector<std::int64_t> place(static_cast<std::size_t>(layout.elements / kChunk));
  std::iota(place.begin(), place.end(), 0);
  if (parallel.shard != ShardMode::kNone) {
    const std::int64_t of_rank = layout.elements / kChunk / layout.shards;
    for (int rank = 0; rank < layout.shards; ++rank) {
      for (std::size_t b = 0; b < layout.buckets.size(); ++b) {
        const ShardRange range = layout.shard_of(b, rank);
        for (std::int64_t chunk = 0; chunk < range.count / kChunk; ++chunk) {
          place[static_cast<std::size_t>(range.flat / kChunk + chunk)] =
              rank * of_rank + range.local / kChunk + chunk;
        }
      }
    }
  }
  std::vector<std::int32_t> order;
  for (const std::int64_t chunk : used_chunks(layout)) {
    order.push_back(static_cast<std::int32_t>(place[static_cast<std::size_t>(chunk)]));
  }
  return order;
}

SquareSumsPlace square_sums_of(const StoreLayout& layout, const ParallelPlan& parallel,
                               std::size_t bucket) {
  if (parallel.shard == ShardMode::kNone) {
    const Bucket& whole = layout.buckets.at(bucket);
    return {whole.offset, whole.offset / kChunk, whole.count / kChunk};
  }
  const ShardRange range = layout.shard_of(bucket, parallel.shard_rank());
  const std::int64_t first = parallel.shard_rank() * (layout.elements / kChunk / layout.shards);
  return {parallel.reduces_each_micro() ? range.local : range.flat, first + range.local / kChunk,
          range.count / kChunk};
}

namespace {

class UpdateBuilder {
 public:
  UpdateBuilder(const Registry& registry, const StoreLayout& layout, const OptimizerConfig& config,
                DType compute, const ParallelPlan& parallel)
      : result_{Graph(registry), {}},
        layout_(layout),
        config_(config),
        compute_(compute),
        parallel_(parallel) {
    scalars_ = graph().add_value(step_scalars_type(), "scalars", Role::kInput);
  }

  UpdateGraph build() {
    norm();
    // What the rank keeps of all buckets in one piece, in every buffer, is updated in one piece.
    if (parallel_.shard == ShardMode::kNone || parallel_.shard == ShardMode::kParameters) {
      update({0, 0, parallel_.state_elements(layout_.elements)}, 0);
      return std::move(result_);
    }
    for (std::size_t b = 0; b < layout_.buckets.size(); ++b) {
      update(layout_.shard_of(b, parallel_.shard_rank()), b);
    }
    return std::move(result_);
  }

 private:
  Graph& graph() { return result_.graph; }
  bool sharded() const { return parallel_.shard != ShardMode::kNone; }

  /// `count` elements of a flat buffer.
  ValueId part(const char* name, DType type, std::int64_t first, std::int64_t count) {
    const ValueId value = graph().add_value({type, Shape{count}}, name, Role::kState);
    graph().value(value).offset = first * size_of(type);
    return value;
  }

  ValueId gradient(const ShardRange& range) {
    const bool whole = !parallel_.reduces_each_micro();
    return part(store::kGradients, DType::kF32, whole ? range.flat : range.local, range.count);
  }

  void norm() {
    if (parallel_.ranks == 1) {
      finish_norm(graph()
                      .add("square_sums", {gradient({0, 0, layout_.elements})}, {{"chunk", kChunk}},
                           "gradient norm")
                      .front());
      return;
    }
    const std::int64_t chunks = layout_.elements / kChunk;
    if (sharded()) gather_partials(chunks);
    finish_norm(part(store::kPartials, DType::kF64, 0, chunks));
  }

  void gather_partials(std::int64_t chunks) {
    const std::int64_t own = chunks / layout_.shards;
    const std::int64_t first = parallel_.shard_rank() * own;
    Instruction gather;
    gather.kind = InstructionKind::kAllGather;
    gather.label = "partial sums of the norm";
    gather.what = "norm";
    gather.group = RankGroup::kShard;
    const std::int64_t bytes = size_of(DType::kF64);
    gather.inputs = {{Space::kBuffer, first * bytes, store::kPartials, {DType::kF64, Shape{own}}}};
    gather.outputs = {{Space::kBuffer, 0, store::kPartials, {DType::kF64, Shape{chunks}}}};
    result_.collectives.push_back({PlacedCollective::kAtTheStart, std::move(gather)});
  }

  void finish_norm(ValueId partials) {
    std::vector<ValueId> inputs = {partials, scalars_};
    if (has_norm_order(layout_, parallel_)) {
      const auto chunks = static_cast<std::int64_t>(used_chunks(layout_).size());
      inputs.push_back(part(store::kOrder, DType::kI32, 0, chunks));
    }
    graph().add("finish_norm", inputs, {}, "clip");
  }

  void update(const ShardRange& range, std::size_t bucket) {
    const bool narrow = compute_ != DType::kF32;
    const bool whole = sharded() && parallel_.shard != ShardMode::kParameters;
    const std::int64_t kept = whole ? range.flat : range.local;
    // In f32 the weights are the master weights.
    const ValueId master = narrow ? part(store::kMaster, DType::kF32, range.local, range.count)
                                  : part(store::kWeights, DType::kF32, kept, range.count);
    const ValueId weights = narrow ? part(store::kWeights, compute_, kept, range.count) : kNoValue;
    const ValueId gradients = gradient(range);
    const ValueId moment1 = part(store::kMoment1, DType::kF32, range.local, range.count);
    const ValueId factors = graph().add_value({DType::kF32, Shape{range.count / kChunk, 2}},
                                              store::kFactors, Role::kInput);
    graph().value(factors).offset = range.local / kChunk * 2 * size_of(DType::kF32);
    const std::string suffix = whole ? fmt::format(" of bucket {}", bucket) : "";
    if (config_.kind == "adamw") {
      const ValueId moment2 = part(store::kMoment2, DType::kF32, range.local, range.count);
      graph().add("adamw", {master, gradients, moment1, moment2, factors, scalars_, weights},
                  {{"beta1", config_.beta1},
                   {"beta2", config_.beta2},
                   {"epsilon", config_.epsilon},
                   {"chunk", kChunk}},
                  "adamw" + suffix);
    } else if (config_.kind == "lion") {
      graph().add("lion", {master, gradients, moment1, factors, scalars_, weights},
                  {{"beta1", config_.beta1}, {"beta2", config_.beta2}, {"chunk", kChunk}},
                  "lion" + suffix);
    } else {
      graph().add("sgd", {master, gradients, moment1, factors, scalars_, weights},
                  {{"momentum", config_.momentum}, {"chunk", kChunk}}, "sgd" + suffix);
    }
    if (config_.ema <= 0) return;
    const ValueId average = part(store::kAverage, DType::kF32, range.local, range.count);
    graph().add("ema", {average, master, scalars_}, {}, "ema" + suffix);
  }

  UpdateGraph result_;
  const StoreLayout& layout_;
  const OptimizerConfig& config_;
  DType compute_;
  const ParallelPlan& parallel_;
  ValueId scalars_ = kNoValue;
};

}  // namespace

UpdateGraph build_update(const Registry& registry, const StoreLayout& layout,
                         const OptimizerConfig& config, DType compute,
                         const ParallelPlan& parallel) {
  return UpdateBuilder(registry, layout, config, compute, parallel).build();
}

}  // namespace ingot
