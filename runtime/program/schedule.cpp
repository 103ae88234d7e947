#include "runtime/program/schedule.hpp"

#include <algorithm>
#include <utility>

#include "runtime/program/plan_memory.hpp"

namespace ingot {

namespace {

class Scheduler {
 public:
  Scheduler(const Graph& graph, const StoreLayout& layout, const ScheduleOptions& options,
            const MemoryPlan& plan, const std::vector<std::int64_t>& workspaces)
      : graph_(graph), layout_(layout), options_(options), plan_(plan), workspaces_(workspaces) {
    program_.name = options.name;
    program_.arena_bytes = plan.arena_bytes;
    program_.activation_bytes = plan.peak_live_bytes;
    for (const std::int64_t bytes : workspaces) {
      program_.workspace_bytes = std::max(program_.workspace_bytes, bytes);
    }
    find_reductions();
  }

  Program run() {
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      add_op(n);
      add_reductions(std::move(after_[n]));
    }
    if (communicated_) {
      // What follows on the compute stream sees all reductions; the communication stream is FIFO,
      // so its last event implies the others.
      const int event = program_.events++;
      add_event(InstructionKind::kRecord, kCommunicationStream, event, "reductions done");
      add_event(InstructionKind::kWait, kComputeStream, event, "reductions done");
    }
    return std::move(program_);
  }

 private:
  /// Which reductions become possible after which node.
  void find_reductions() {
    after_.resize(graph_.nodes.size());
    for (const ScheduleOptions::SmallReduction& small : options_.small_reductions) {
      Instruction instruction;
      instruction.kind = InstructionKind::kAllReduce;
      instruction.label = small.buffer;
      instruction.reduced = {Space::kBuffer, small.offset, small.buffer, small.type};
      after_[last_node_of(small.after_op)].push_back(std::move(instruction));
    }
    if (!options_.reduce_gradients) return;
    std::vector<int> complete(layout_.buckets.size(), -1);
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      for (const ValueId output : graph_.nodes[n].outputs) {
        const GraphValue& value = graph_.value(output);
        if (value.role != Role::kGradient) continue;
        const int bucket = layout_.bucket_of[static_cast<std::size_t>(value.parameter)];
        complete[static_cast<std::size_t>(bucket)] = static_cast<int>(n);
      }
    }
    for (std::size_t b = 0; b < complete.size(); ++b) {
      ensure(complete[b] >= 0, "a bucket with at least one gradient");
      Instruction instruction;
      instruction.kind = InstructionKind::kAllReduce;
      instruction.label = fmt::format("bucket {}", b);
      instruction.bucket = static_cast<int>(b);
      const Bucket& bucket = layout_.buckets[b];
      instruction.reduced = {
          Space::kGradients, bucket.offset, "", {DType::kF32, Shape{bucket.count}}};
      after_[static_cast<std::size_t>(complete[b])].push_back(std::move(instruction));
    }
  }

  std::size_t last_node_of(const std::string& op) const {
    for (std::size_t n = graph_.nodes.size(); n-- > 0;) {
      if (graph_.nodes[n].op->name() == op) return n;
    }
    fail(ExitCode::kInternal, "program '{}' has no op '{}' to reduce after", options_.name, op);
  }

  void add_op(std::size_t n) {
    const GraphNode& node = graph_.nodes[n];
    Instruction instruction;
    instruction.label = node.label;
    instruction.op = node.op;
    instruction.attributes = node.attributes;
    instruction.accumulate = node.accumulate;
    instruction.layer = node.layer;
    instruction.backward = node.backward;
    for (const ValueId input : node.inputs) instruction.inputs.push_back(operand(input));
    for (const ValueId output : node.outputs) instruction.outputs.push_back(operand(output));
    instruction.workspace_bytes = workspaces_[n];
    instruction.workspace_offset = plan_.workspace_offsets[n];
    program_.instructions.push_back(std::move(instruction));
  }

  /// Reductions that become possible at the same node share one event.
  void add_reductions(std::vector<Instruction> reductions) {
    if (reductions.empty()) return;
    const int event = program_.events++;
    const std::string label = reductions.front().label + " complete";
    add_event(InstructionKind::kRecord, kComputeStream, event, label);
    add_event(InstructionKind::kWait, kCommunicationStream, event, label);
    for (Instruction& reduction : reductions) {
      reduction.stream = kCommunicationStream;
      program_.instructions.push_back(std::move(reduction));
    }
    communicated_ = true;
  }

  void add_event(InstructionKind kind, int stream, int event, std::string label) {
    Instruction instruction;
    instruction.kind = kind;
    instruction.stream = stream;
    instruction.event = event;
    instruction.label = std::move(label);
    program_.instructions.push_back(std::move(instruction));
  }

  Operand operand(ValueId id) const {
    if (id == kNoValue) return {Space::kNone, 0, "", absent_type()};
    const GraphValue& value = graph_.value(id);
    switch (value.role) {
      case Role::kParameter:
        return {Space::kWeights, layout_.offsets[static_cast<std::size_t>(value.parameter)], "",
                value.type};
      case Role::kGradient:
        return {Space::kGradients, layout_.offsets[static_cast<std::size_t>(value.parameter)], "",
                value.type};
      case Role::kActivation:
        return {Space::kArena, plan_.offsets[static_cast<std::size_t>(id)], "", value.type};
      case Role::kInput:
      case Role::kState:
      case Role::kOutput:
        return {Space::kBuffer, 0, value.name, value.type};
    }
    return {};
  }

  const Graph& graph_;
  const StoreLayout& layout_;
  const ScheduleOptions& options_;
  const MemoryPlan& plan_;
  const std::vector<std::int64_t>& workspaces_;
  std::vector<std::vector<Instruction>> after_;  // reductions, by node they follow
  bool communicated_ = false;
  Program program_;
};

}  // namespace

Program schedule(const Graph& graph, const StoreLayout& layout, const ScheduleOptions& options,
                 const WorkspaceQuery& workspace) {
  std::vector<std::int64_t> workspaces;
  workspaces.reserve(graph.nodes.size());
  for (const GraphNode& node : graph.nodes) workspaces.push_back(workspace(node));
  const MemoryPlan plan = plan_memory(graph, workspaces);
  return Scheduler(graph, layout, options, plan, workspaces).run();
}

}  // namespace ingot
