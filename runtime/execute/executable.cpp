#include "runtime/execute/executable.hpp"

#include <algorithm>

namespace ingot {

/// One instruction with everything resolved.
struct Executable::Step {
  InstructionKind kind = InstructionKind::kOp;
  Stream* stream = nullptr;
  Kernel* kernel = nullptr;
  KernelArguments arguments;
  Event* event = nullptr;
  TensorView reduced;
  CollectiveLabel label;
  std::size_t instruction = 0;
};

PreparedProgram prepare_program(const Graph& graph, const StoreLayout& layout,
                                const ScheduleOptions& options, Device& device) {
  PreparedProgram prepared;
  const auto workspace = [&](const GraphNode& node) {
    const NodeTypes types(graph, node);
    prepared.kernels.push_back(
        graph.registry().prepare(node.op->name(), {device, types.op_types(), node.accumulate}));
    return prepared.kernels.back()->workspace_bytes();
  };
  prepared.program = schedule(graph, layout, options, workspace);
  return prepared;
}

Executable::Executable(PreparedProgram prepared, const Memory& memory, Device& device,
                       Streams streams, Communicator* communicator)
    : prepared_(std::move(prepared)),
      device_(&device),
      streams_(streams),
      communicator_(communicator),
      before_wait_(device.create_event()),
      after_wait_(device.create_event()) {
  const Program& program = prepared_.program;
  for (int e = 0; e < program.events; ++e) events_.push_back(device.create_event());
  std::size_t operands = 0;
  for (const Instruction& instruction : program.instructions) {
    operands += instruction.inputs.size() + instruction.outputs.size();
  }
  views_.reserve(operands);  // spans point into it
  const auto resolve_all = [&](const std::vector<Operand>& from) {
    const std::size_t first = views_.size();
    for (const Operand& operand : from) views_.push_back(memory.resolve(operand));
    return std::span<const TensorView>(views_.data() + first, from.size());
  };
  std::size_t kernel = 0;
  for (const Instruction& instruction : program.instructions) {
    Step step;
    step.kind = instruction.kind;
    step.instruction = steps_.size();
    step.stream = instruction.stream == kComputeStream ? streams.compute : streams.communication;
    ensure(step.stream != nullptr, "a stream for every instruction");
    switch (instruction.kind) {
      case InstructionKind::kOp:
        step.kernel = prepared_.kernels.at(kernel++).get();
        step.arguments.inputs = resolve_all(instruction.inputs);
        step.arguments.outputs = resolve_all(instruction.outputs);
        if (instruction.workspace_bytes > 0) {
          step.arguments.workspace = {
              static_cast<std::byte*>(
                  memory.arena_at(instruction.workspace_offset, instruction.workspace_bytes)),
              static_cast<std::size_t>(instruction.workspace_bytes)};
        }
        break;
      case InstructionKind::kAllReduce:
        ensure(communicator != nullptr, "a communicator for a program with collectives");
        step.reduced = memory.resolve(instruction.reduced);
        step.label = {instruction.bucket >= 0 ? "bucket" : "step sums", instruction.bucket};
        break;
      case InstructionKind::kRecord:
      case InstructionKind::kWait:
        step.event = events_.at(static_cast<std::size_t>(instruction.event)).get();
        waits_ = waits_ || instruction.stream == kCommunicationStream;
        break;
    }
    steps_.push_back(step);
  }
  if (communicator != nullptr) prepare_collectives();
  recording_ = device.record(*streams.compute, program.name, [this] { enqueue_steps(); });
}

Executable::~Executable() = default;
Executable::Executable(Executable&&) noexcept = default;

/// What the communicator needs for the largest exchange is made now.
void Executable::prepare_collectives() {
  std::int64_t largest = 0;
  for (const Step& step : steps_) {
    if (step.kind == InstructionKind::kAllReduce) {
      largest = std::max(largest, step.reduced.type.bytes());
    }
  }
  if (largest > 0) communicator_->reserve(*streams_.communication, largest);
}

void Executable::enqueue() {
  if (recording_) {
    recording_->replay(*streams_.compute);
  } else {
    enqueue_steps();
  }
}

void Executable::enqueue_steps() {
  for (const Step& step : steps_) {
    try {
      enqueue(step);
    } catch (const Error& error) {
      // Kernels do not know what they are used for.
      throw Error(error.code(),
                  fmt::format("program {}, {}: {}", program().name,
                              program().instructions[step.instruction].label, error.what()));
    }
  }
}

void Executable::enqueue(const Step& step) {
  switch (step.kind) {
    case InstructionKind::kOp:
      step.kernel->enqueue(*step.stream, step.arguments);
      break;
    case InstructionKind::kAllReduce:
      communicator_->all_reduce(step.reduced.data, step.reduced.count(), step.reduced.type.dtype,
                                ReduceOperation::kSum, *step.stream, step.label);
      break;
    case InstructionKind::kRecord:
      step.stream->record(*step.event);
      break;
    case InstructionKind::kWait:
      if (step.stream == streams_.compute) {
        step.stream->mark(*before_wait_);
        step.stream->wait(*step.event);
        step.stream->mark(*after_wait_);
      } else {
        step.stream->wait(*step.event);
      }
      break;
  }
}

std::vector<TimedInstruction> Executable::run_timed() {
  while (marks_.size() < 2 * steps_.size()) marks_.push_back(device_->create_event());
  std::vector<TimedInstruction> times;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    const bool timed =
        step.kind == InstructionKind::kOp || step.kind == InstructionKind::kAllReduce;
    if (timed) step.stream->mark(*marks_[2 * i]);
    enqueue(step);
    if (timed) step.stream->mark(*marks_[2 * i + 1]);
    if (timed) times.push_back({.instruction = i});
  }
  streams_.compute->synchronize();
  if (streams_.communication != nullptr) streams_.communication->synchronize();
  for (TimedInstruction& time : times) {
    const Event& first = *marks_[2 * times.front().instruction];
    time.begin = marks_[2 * time.instruction]->seconds_since(first);
    time.end = marks_[2 * time.instruction + 1]->seconds_since(first);
  }
  return times;
}

double Executable::exposed_communication_seconds() const {
  return waits_ ? after_wait_->seconds_since(*before_wait_) : 0.0;
}

}  // namespace ingot
