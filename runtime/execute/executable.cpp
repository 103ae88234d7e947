#include "runtime/execute/executable.hpp"

#include <algorithm>
#include <map>

namespace ingot {

/// One instruction with everything resolved.
struct Executable::Step {
  InstructionKind kind = InstructionKind::kOp;
  Stream* stream = nullptr;
  Kernel* kernel = nullptr;
  KernelArguments arguments;
  Event* event = nullptr;
  std::size_t wait = 0;  ///< of the compute stream: which of its waits
  Communicator* communicator = nullptr;
  std::span<const float* const> partials;  ///< kOrderedReduceScatter
  CollectiveLabel label;
  std::size_t instruction = 0;
};

PreparedProgram prepare_program(const Graph& graph, const StoreLayout& layout,
                                const PlacementOptions& options, Device& device) {
  PreparedProgram prepared;
  const auto workspace = [&](const Instruction& instruction) -> std::int64_t {
    if (instruction.kind == InstructionKind::kOrderedReduceScatter) {
      return OrderedReduction::scratch_bytes(reduction_tree(options.parallel),
                                             options.parallel.node_ranks,
                                             instruction.outputs.front().type.count());
    }
    std::vector<TensorType> inputs;
    std::vector<TensorType> outputs;
    for (const Operand& input : instruction.inputs) inputs.push_back(input.type);
    for (const Operand& output : instruction.outputs) outputs.push_back(output.type);
    prepared.kernels.push_back(graph.registry().prepare(
        instruction.op->name(),
        {device, {inputs, outputs, instruction.attributes}, instruction.accumulate}));
    return prepared.kernels.back()->workspace_bytes();
  };
  prepared.program = schedule(graph, layout, options, workspace);
  return prepared;
}

Executable::Executable(PreparedProgram prepared, const Memory& memory, Device& device,
                       Streams streams, Communicators communicators)
    : prepared_(std::move(prepared)),
      device_(&device),
      streams_(streams),
      ordered_(communicators.ordered) {
  const Program& program = prepared_.program;
  for (int e = 0; e < program.events; ++e) events_.push_back(device.create_event());
  std::size_t operands = 0;
  for (const Instruction& instruction : program.instructions) {
    operands += instruction.inputs.size() + instruction.outputs.size();
  }
  views_.reserve(operands);  // spans point into these
  partials_.reserve(operands);
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
    step.arguments.inputs = resolve_all(instruction.inputs);
    step.arguments.outputs = resolve_all(instruction.outputs);
    if (instruction.workspace_bytes > 0) {
      step.arguments.workspace = {static_cast<std::byte*>(memory.arena_at(
                                      instruction.workspace_offset, instruction.workspace_bytes)),
                                  static_cast<std::size_t>(instruction.workspace_bytes)};
    }
    if (instruction.kind == InstructionKind::kOp) {
      step.kernel = prepared_.kernels.at(kernel++).get();
    } else if (is_collective(instruction.kind)) {
      bind_collective(instruction, step, communicators);
    } else if (instruction.event >= 0) {
      step.event = events_.at(static_cast<std::size_t>(instruction.event)).get();
      if (instruction.kind == InstructionKind::kWait && instruction.stream == kComputeStream) {
        step.wait = wait_marks_.size();
        wait_marks_.push_back(device.create_event());
        wait_marks_.push_back(device.create_event());
      }
    }
    steps_.push_back(step);
  }
  reserve_for_collectives();
  recording_ = device.record(*streams.compute, program.name, [this] { enqueue_steps(); });
}

Executable::~Executable() = default;
Executable::Executable(Executable&&) noexcept = default;

void Executable::bind_collective(const Instruction& instruction, Step& step,
                                 Communicators communicators) {
  step.communicator = communicators.of(instruction.group);
  step.label = {instruction.what, instruction.bucket};
  ensure(step.communicator != nullptr, "a communicator for a program with collectives");
  // The plan was made for this number of ranks; where it was not, they would write elsewhere.
  const std::int64_t ranks = step.communicator->size();
  const std::int64_t from = instruction.inputs.front().type.count();
  const std::int64_t to = instruction.outputs.front().type.count();
  const bool fits = instruction.kind == InstructionKind::kAllReduce   ? from == to
                    : instruction.kind == InstructionKind::kAllGather ? from * ranks == to
                                                                      : to * ranks == from;
  ensure(fits, "a program that was planned for the communicator's ranks");
  if (instruction.kind != InstructionKind::kOrderedReduceScatter) return;
  ensure(ordered_ != nullptr && ordered_->scratch_bytes(to) <= instruction.workspace_bytes,
         "an ordered reduction with the memory that was planned for it");
  const std::size_t first = partials_.size();
  for (const TensorView& partial : step.arguments.inputs) {
    partials_.push_back(partial.as<float>());
  }
  step.partials = {partials_.data() + first, step.arguments.inputs.size()};
}

/// What the communicators need for the largest exchange is made now.
void Executable::reserve_for_collectives() {
  std::map<Communicator*, std::int64_t> largest;
  for (const Step& step : steps_) {
    if (step.communicator == nullptr) continue;
    if (step.kind == InstructionKind::kOrderedReduceScatter) {
      ordered_->reserve(*streams_.communication, step.arguments.outputs.front().count());
      continue;
    }
    std::int64_t bytes = step.arguments.outputs.front().type.bytes();
    if (step.kind != InstructionKind::kAllReduce) {
      bytes += step.arguments.inputs.front().type.bytes();
    }
    largest[step.communicator] = std::max(largest[step.communicator], bytes);
  }
  for (const auto& [communicator, bytes] : largest) {
    communicator->reserve(*streams_.communication, bytes);
  }
}

void Executable::enqueue() {
  if (recording_) {
    recording_->replay(*streams_.compute);
  } else {
    enqueue_steps();
  }
}

void Executable::enqueue_steps() {
  const NamedRange range(*device_, program().name);
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
  const NamedRange range(*device_, program().instructions[step.instruction].label);
  const auto to = [&]() -> const TensorView& { return step.arguments.outputs.front(); };
  const auto from = [&]() -> const TensorView& { return step.arguments.inputs.front(); };
  switch (step.kind) {
    case InstructionKind::kOp:
      step.kernel->enqueue(*step.stream, step.arguments);
      break;
    case InstructionKind::kFillZero:
      device_->fill_zero(*step.stream, to().data, to().type.bytes());
      break;
    case InstructionKind::kAllReduce:
      step.communicator->all_reduce(to().data, to().count(), to().type.dtype, ReduceOperation::kSum,
                                    *step.stream, step.label);
      break;
    case InstructionKind::kReduceScatter:
      step.communicator->reduce_scatter(to().data, from().data, to().count(), to().type.dtype,
                                        ReduceOperation::kSum, *step.stream, step.label);
      break;
    case InstructionKind::kOrderedReduceScatter:
      ordered_->reduce_scatter(to().as<float>(), step.partials, to().count(),
                               step.arguments.workspace.data(), *step.stream, step.label);
      break;
    case InstructionKind::kAllGather:
      step.communicator->all_gather(to().data, from().data, from().count(), from().type.dtype,
                                    *step.stream, step.label);
      break;
    case InstructionKind::kRecord:
      step.stream->record(*step.event);
      break;
    case InstructionKind::kWait:
      wait(step);
      break;
  }
}

void Executable::wait(const Step& step) {
  if (step.stream != streams_.compute) return step.stream->wait(*step.event);
  step.stream->mark(*wait_marks_[step.wait]);
  step.stream->wait(*step.event);
  step.stream->mark(*wait_marks_[step.wait + 1]);
}

std::vector<TimedInstruction> Executable::run_timed() {
  while (marks_.size() < 2 * steps_.size()) marks_.push_back(device_->create_event());
  std::vector<TimedInstruction> times;
  const NamedRange range(*device_, program().name);
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    const bool timed = step.kind != InstructionKind::kRecord && step.kind != InstructionKind::kWait;
    if (timed) step.stream->mark(*marks_[2 * i]);
    enqueue(step);
    if (timed) step.stream->mark(*marks_[2 * i + 1]);
    if (timed) times.push_back({.instruction = i});
  }
  streams_.compute->synchronize();
  if (streams_.communication != nullptr) streams_.communication->synchronize();
  for (TimedInstruction& time : times) {
    // Distances by the device's clock, which is finer than the host's.
    const Event& first = *marks_[2 * times.front().instruction];
    const double start = first.seconds();
    time.begin = start + marks_[2 * time.instruction]->seconds_since(first);
    time.end = start + marks_[2 * time.instruction + 1]->seconds_since(first);
  }
  return times;
}

std::optional<RecordedWork> Executable::recorded_work() const {
  const auto* counted = dynamic_cast<const CountedRecording*>(recording_.get());
  return counted != nullptr ? std::optional(counted->work()) : std::nullopt;
}

double Executable::exposed_communication_seconds() const {
  double seconds = 0;
  for (std::size_t wait = 0; wait + 1 < wait_marks_.size(); wait += 2) {
    seconds += wait_marks_[wait + 1]->seconds_since(*wait_marks_[wait]);
  }
  return seconds;
}

}  // namespace ingot
