#include "runtime/program/shard.hpp"

#include <algorithm>
#include <utility>

#include "runtime/program/gathers.hpp"
#include "runtime/program/plan_memory.hpp"
#include "runtime/program/update.hpp"

namespace ingot {

namespace {

Operand in_block(int block, std::int64_t offset, TensorType type) {
  return {Space::kArena, offset, "", std::move(type), block};
}

TensorType flat(DType type, std::int64_t count) {
  return {type, Shape{count}};
}

class Placer {
 public:
  Placer(const Graph& graph, const StoreLayout& layout, const PlacementOptions& options)
      : graph_(graph),
        layout_(layout),
        options_(options),
        parallel_(options.parallel),
        values_(assign_blocks(graph)),
        first_write_(layout.buckets.size(), -1),
        complete_(layout.buckets.size(), -1) {
    draft_.block_bytes = values_.block_bytes;
    if (parallel_.shard == ShardMode::kParameters) {
      gathers_ = plan_gathers(graph, layout);
      use_block_.assign(gathers_.uses.size(), -1);
    }
    find_gradients();
  }

  Draft run() {
    std::size_t placed = 0;
    std::size_t use = 0;
    const auto place_after = [&](std::size_t n) {
      for (; placed < options_.collectives.size() && options_.collectives[placed].after_node == n;
           ++placed) {
        Instruction collective = options_.collectives[placed].collective;
        collective.stream = kCommunicationStream;
        add(std::move(collective));
      }
    };
    place_after(PlacedCollective::kAtTheStart);
    if (options_.gathers_weights) {
      for (const int bucket : buckets_by_first_use(graph_, layout_)) gather_in_store(bucket);
    }
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      for (; use < gathers_.uses.size() && gathers_.uses[use].gate == static_cast<int>(n); ++use) {
        gather(use);
      }
      add_node(n);
      place_after(n);
      for (std::size_t b = 0; b < complete_.size(); ++b) {
        if (complete_[b] == static_cast<int>(n)) finish_gradients(b);
      }
    }
    ensure(placed == options_.collectives.size(), "collectives in the order of nodes");
    if (options_.gradients.sums_squares) {
      for (std::size_t b = 0; b < complete_.size(); ++b) sum_squares(b);
    }
    return std::move(draft_);
  }

 private:
  bool transient_gradients() const { return parallel_.shard >= ShardMode::kGradients; }

  void find_gradients() {
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      for (const ValueId output : graph_.nodes[n].outputs) {
        if (output == kNoValue || graph_.value(output).role != Role::kGradient) continue;
        const auto b = bucket_of(graph_.value(output));
        if (first_write_[b] < 0) first_write_[b] = static_cast<int>(n);
        complete_[b] = static_cast<int>(n);
      }
    }
    const bool any = std::ranges::any_of(complete_, [](int node) { return node >= 0; });
    if (!any) return;
    for (std::size_t b = 0; b < complete_.size(); ++b) {
      ensure(complete_[b] >= 0, "a bucket with at least one gradient");
      gradient_block_.push_back(
          transient_gradients() ? draft_.add_block(layout_.buckets[b].count * size_of(DType::kF32))
                                : -1);
    }
  }

  std::size_t bucket_of(const GraphValue& value) const {
    return static_cast<std::size_t>(layout_.bucket_of[static_cast<std::size_t>(value.parameter)]);
  }

  int add(Instruction instruction, int gate = Draft::kNoGate) {
    draft_.instructions.push_back(std::move(instruction));
    draft_.gates.push_back(gate);
    const int index = static_cast<int>(draft_.instructions.size()) - 1;
    if (draft_.instructions.back().stream == kComputeStream) last_compute_ = index;
    return index;
  }

  // --- ops -------------------------------------------------------------------------------------

  void add_node(std::size_t n) {
    const GraphNode& node = graph_.nodes[n];
    Instruction instruction;
    instruction.label = node.label;
    instruction.op = node.op;
    instruction.attributes = node.attributes;
    instruction.accumulate = node.accumulate;
    instruction.layer = node.layer;
    instruction.backward = node.backward;
    for (const ValueId input : node.inputs) instruction.inputs.push_back(operand(n, input));
    for (const ValueId output : node.outputs) instruction.outputs.push_back(operand(n, output));
    add(std::move(instruction), gradient_gate(static_cast<int>(n)));
  }

  /// Where a bucket's transient gradient is begun, all reductions but the last one that was issued
  /// have to be done: their blocks are free then.
  int gradient_gate(int n) const {
    if (!transient_gradients() || reduced_.size() < 2) return Draft::kNoGate;
    if (std::ranges::count(first_write_, n) == 0) return Draft::kNoGate;
    return reduced_[reduced_.size() - 2];
  }

  Operand operand(std::size_t n, ValueId id) const {
    if (id == kNoValue) return {Space::kNone, 0, "", absent_type()};
    const GraphValue& value = graph_.value(id);
    switch (value.role) {
      case Role::kParameter:
        return weight(n, value);
      case Role::kGradient:
        return gradient(value);
      case Role::kActivation:
        return in_block(values_.block_of[static_cast<std::size_t>(id)], 0, value.type);
      case Role::kInput:
      case Role::kState:
      case Role::kOutput:
        return {Space::kBuffer, value.offset, value.name, value.type};
    }
    return {};
  }

  std::int64_t offset_of(const GraphValue& value) const {
    return layout_.offsets[static_cast<std::size_t>(value.parameter)];
  }

  Operand weight(std::size_t n, const GraphValue& value) const {
    if (parallel_.shard != ShardMode::kParameters) {
      return {Space::kWeights, offset_of(value), "", value.type};
    }
    const int bucket = static_cast<int>(bucket_of(value));
    const auto use = std::ranges::find(gathers_.use_of[n], bucket, &std::pair<int, int>::first);
    const std::int64_t inside =
        offset_of(value) - layout_.buckets[static_cast<std::size_t>(bucket)].offset;
    return in_block(use_block_[static_cast<std::size_t>(use->second)],
                    inside * size_of(value.type.dtype), value.type);
  }

  Operand gradient(const GraphValue& value) const {
    if (!transient_gradients()) {
      return {Space::kGradients, slot_offset(options_.gradients.slot) + offset_of(value), "",
              value.type};
    }
    const std::size_t b = bucket_of(value);
    return in_block(gradient_block_[b],
                    (offset_of(value) - layout_.buckets[b].offset) * size_of(DType::kF32),
                    value.type);
  }

  /// Elements in front of a partial gradient in the gradient store.
  std::int64_t slot_offset(int slot) const {
    return slot *
           (transient_gradients() ? parallel_.state_elements(layout_.elements) : layout_.elements);
  }

  // --- weights ---------------------------------------------------------------------------------

  void gather(std::size_t use) {
    const int bucket = gathers_.uses[use].bucket;
    const auto b = static_cast<std::size_t>(bucket);
    const DType type = weight_type(b);
    const ShardRange own = layout_.shard_of(b, parallel_.shard_rank());
    use_block_[use] = draft_.add_block(layout_.buckets[b].count * size_of(type));
    gather(bucket, {Space::kWeights, own.local, "", flat(type, own.count)},
           in_block(use_block_[use], 0, flat(type, layout_.buckets[b].count)), last_compute_);
  }

  /// No memory is freed for it, so that it may run as far ahead as the link can.
  void gather_in_store(int bucket) {
    const auto b = static_cast<std::size_t>(bucket);
    const DType type = weight_type(b);
    const ShardRange own = layout_.shard_of(b, parallel_.shard_rank());
    const Bucket& whole = layout_.buckets[b];
    gather(bucket, {Space::kWeights, own.flat, "", flat(type, own.count)},
           {Space::kWeights, whole.offset, "", flat(type, whole.count)}, Draft::kNoGate);
  }

  void gather(int bucket, Operand part, Operand whole, int gate) {
    Instruction instruction;
    instruction.kind = InstructionKind::kAllGather;
    instruction.stream = kCommunicationStream;
    instruction.label = fmt::format("weights of bucket {}", bucket);
    instruction.what = "weights of bucket";
    instruction.bucket = bucket;
    instruction.group = RankGroup::kShard;
    instruction.inputs = {std::move(part)};
    instruction.outputs = {std::move(whole)};
    add(std::move(instruction), gate);
  }

  DType weight_type(std::size_t bucket) const {
    for (const GraphValue& value : graph_.values) {
      if (value.role == Role::kParameter && bucket_of(value) == bucket) return value.type.dtype;
    }
    fail(ExitCode::kInternal, "bucket {} holds no weight of program '{}'", bucket, options_.name);
  }

  // --- gradients -------------------------------------------------------------------------------

  void finish_gradients(std::size_t b) {
    const GradientStep& step = options_.gradients;
    if (!transient_gradients()) {
      for (const int m : step.merges) {
        merge(stored(m, layout_.buckets[b]), stored(m + 1, layout_.buckets[b]), b, kComputeStream);
      }
    }
    if (!step.reduces) return;
    if (!transient_gradients()) {
      reduce_in_store(b);
      return;
    }
    zero_gaps(b);
    const Operand whole = in_block(gradient_block_[b], 0, f32(layout_.buckets[b].count));
    const ShardRange own = layout_.shard_of(b, parallel_.shard_rank());
    const Operand kept = {Space::kGradients, slot_offset(step.slot) + own.local, "",
                          f32(own.count)};
    if (parallel_.ordered) {
      ordered_reduce_scatter({whole}, kept, b);
      reduced_.push_back(last());
      for (const int m : step.merges) {
        const Bucket shard{own.local, own.count};
        merge(stored(m, shard), stored(m + 1, shard), b, kCommunicationStream);
      }
      return;
    }
    const Operand sum =
        step.adds ? in_block(draft_.add_block(own.count * size_of(DType::kF32)), 0, f32(own.count))
                  : kept;
    if (parallel_.wire == DType::kBf16) {
      const Operand packed = pack(whole, b);
      reduced_.push_back(last());
      const Operand part = own_part(packed);
      reduce_scatter(packed, part, b);
      unpack(part, sum, b);
    } else {
      reduce_scatter(whole, sum, b);
      reduced_.push_back(last_scatter_);
    }
    if (step.adds) merge(kept, sum, b, kCommunicationStream);
  }

  /// The modes that keep whole gradients: sums land where they are kept.
  void reduce_in_store(std::size_t b) {
    const Bucket& bucket = layout_.buckets[b];
    const Operand whole = stored(0, bucket);
    const ShardRange own = layout_.shard_of(b, parallel_.shard_rank());
    const Operand part = stored(0, {own.flat, own.count});
    const bool sharded = parallel_.shard != ShardMode::kNone;
    if (parallel_.ordered) {
      std::vector<Operand> partials;
      for (int p = 0; p < parallel_.partials; ++p) partials.push_back(stored(p, bucket));
      ordered_reduce_scatter(std::move(partials), part, b);
      if (!sharded) exchange(InstructionKind::kAllGather, {part}, whole, b, RankGroup::kShard);
      return;
    }
    if (parallel_.wire == DType::kBf16) {
      const Operand packed = pack(whole, b);
      if (sharded) {
        reduce_scatter(packed, own_part(packed), b);
        unpack(own_part(packed), part, b);
      } else {
        exchange(InstructionKind::kAllReduce, {packed}, packed, b, RankGroup::kAll);
        unpack(packed, whole, b);
      }
      return;
    }
    if (sharded) {
      reduce_scatter(whole, part, b);
    } else {
      exchange(InstructionKind::kAllReduce, {whole}, whole, b, RankGroup::kAll);
    }
  }

  /// Over the shard group, then over those that hold the same part.
  void reduce_scatter(const Operand& from, const Operand& to, std::size_t b) {
    exchange(InstructionKind::kReduceScatter, {from}, to, b, RankGroup::kShard);
    last_scatter_ = last();
    if (parallel_.replicas() > 1) {
      exchange(InstructionKind::kAllReduce, {to}, to, b, RankGroup::kReplicas);
    }
  }

  void ordered_reduce_scatter(std::vector<Operand> partials, const Operand& to, std::size_t b) {
    exchange(InstructionKind::kOrderedReduceScatter, std::move(partials), to, b, RankGroup::kShard);
  }

  void exchange(InstructionKind kind, std::vector<Operand> inputs, const Operand& output,
                std::size_t b, RankGroup group) {
    Instruction instruction;
    instruction.kind = kind;
    instruction.stream = kCommunicationStream;
    instruction.label = fmt::format("gradients of bucket {}", b);
    instruction.what = "gradients of bucket";
    instruction.bucket = static_cast<int>(b);
    instruction.group = group;
    instruction.inputs = std::move(inputs);
    instruction.outputs = {output};
    add(std::move(instruction));
  }

  /// The gaps behind tensors are zero in the stores; in memory of the arena they hold anything.
  void zero_gaps(std::size_t b) {
    const Bucket& bucket = layout_.buckets[b];
    std::vector<std::pair<std::int64_t, std::int64_t>> tensors;  // begin, end in the flat store
    for (std::size_t p = 0; p < layout_.parameters.size(); ++p) {
      if (layout_.bucket_of[p] != static_cast<int>(b)) continue;
      tensors.emplace_back(layout_.offsets[p],
                           layout_.offsets[p] + layout_.parameters[p].shape.count());
    }
    std::ranges::sort(tensors);
    tensors.emplace_back(bucket.offset + bucket.count, 0);
    std::int64_t end = bucket.offset;
    for (const auto& [next, next_end] : tensors) {
      if (next > end) {
        Instruction instruction;
        instruction.kind = InstructionKind::kFillZero;
        instruction.stream = kCommunicationStream;
        instruction.label = fmt::format("padding of bucket {}", b);
        instruction.bucket = static_cast<int>(b);
        instruction.outputs = {in_block(
            gradient_block_[b], (end - bucket.offset) * size_of(DType::kF32), f32(next - end))};
        // Nothing of the program needs an order here, but the block's memory does.
        add(std::move(instruction), last_compute_);
      }
      end = next_end;
    }
  }

  /// Behind backward on the stream of computation, which so waits for one bucket after the other
  /// and is busy while the rest is being reduced.
  void sum_squares(std::size_t b) {
    const SquareSumsPlace place = square_sums_of(layout_, parallel_, b);
    const Operand gradient = {Space::kGradients, place.gradient, "", f32(place.chunks * kChunk)};
    const Operand sums = {Space::kBuffer, place.partials * size_of(DType::kF64), store::kPartials,
                          flat(DType::kF64, place.chunks)};
    add_op("square_sums", {gradient}, sums, {{"chunk", kChunk}},
           fmt::format("norm of bucket {}", b), kComputeStream, b);
  }

  Operand stored(int slot, const Bucket& run) const {
    return {Space::kGradients, slot_offset(slot) + run.offset, "", f32(run.count)};
  }
  static TensorType f32(std::int64_t count) { return flat(DType::kF32, count); }

  /// The rank's own block of a packed bucket.
  Operand own_part(Operand whole) const {
    const std::int64_t count = whole.type.count() / layout_.shards;
    whole.offset += parallel_.shard_rank() * count * size_of(whole.type.dtype);
    whole.type = flat(whole.type.dtype, count);
    return whole;
  }

  Operand pack(const Operand& from, std::size_t b) {
    const TensorType type = flat(parallel_.wire, from.type.count());
    const Operand packed = in_block(draft_.add_block(type.bytes()), 0, type);
    add_op("cast", {from}, packed, {{"dtype", std::string(name_of(parallel_.wire))}},
           fmt::format("pack bucket {}", b), kCommunicationStream, b);
    return packed;
  }
  void unpack(const Operand& from, const Operand& to, std::size_t b) {
    add_op("cast", {from}, to, {{"dtype", std::string("f32")}}, fmt::format("unpack bucket {}", b),
           kCommunicationStream, b);
  }
  /// to += from
  void merge(const Operand& to, const Operand& from, std::size_t b, int stream) {
    add_op("add", {to, from}, to, {}, fmt::format("add partial gradients of bucket {}", b), stream,
           b);
  }

  void add_op(const char* op, std::vector<Operand> inputs, const Operand& output,
              Attributes attributes, std::string label, int stream, std::size_t b) {
    Instruction instruction;
    instruction.stream = stream;
    instruction.label = std::move(label);
    instruction.op = &graph_.registry().find(op);
    instruction.attributes = std::move(attributes);
    instruction.inputs = std::move(inputs);
    instruction.outputs = {output};
    instruction.backward = true;
    instruction.bucket = static_cast<int>(b);
    add(std::move(instruction));
  }

  int last() const { return static_cast<int>(draft_.instructions.size()) - 1; }

  const Graph& graph_;
  const StoreLayout& layout_;
  const PlacementOptions& options_;
  const ParallelPlan& parallel_;
  const ValueBlocks values_;
  GatherPlan gathers_;
  std::vector<int> use_block_;       // per gathered use
  std::vector<int> first_write_;     // per bucket: the first node that writes a gradient of it
  std::vector<int> complete_;        // per bucket: the last one
  std::vector<int> gradient_block_;  // per bucket; -1: in the gradient store
  std::vector<int> reduced_;  // instructions that were the last to touch a transient gradient
  int last_scatter_ = -1;
  int last_compute_ = Draft::kNoGate;
  Draft draft_;
};

}  // namespace

std::size_t last_node_of(const Graph& graph, std::string_view op) {
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    if (graph.nodes[n].op->name() == op) return n;
  }
  fail(ExitCode::kInternal, "the graph has no op '{}'", op);
}

Draft place(const Graph& graph, const StoreLayout& layout, const PlacementOptions& options) {
  return Placer(graph, layout, options).run();
}

}  // namespace ingot
