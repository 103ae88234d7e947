#include "runtime/train/step_tracer.hpp"

namespace ingot {

namespace {

std::string part_of_step(const Instruction& instruction, const Program& program) {
  if (instruction.kind != InstructionKind::kOp) return "communication";
  if (instruction.backward) return "backward";
  return program.name == "update" ? "update" : "forward";
}

}  // namespace

void add_spans(StepTrace& trace, const Program& program,
               const std::vector<TimedInstruction>& times) {
  for (const TimedInstruction& time : times) {
    const Instruction& instruction = program.instructions[time.instruction];
    TraceSpan span{.name = instruction.label,
                   .category = part_of_step(instruction, program),
                   .track = instruction.stream,
                   .begin = time.begin,
                   .end = time.end};
    if (instruction.kind == InstructionKind::kOp) {
      const Cost cost = cost_of(instruction);
      span.name += fmt::format(" ({})", instruction.op->name());
      span.figures = {{"matrix FLOPs", cost.matrix_flops},
                      {"bytes read", static_cast<double>(cost.bytes_read)},
                      {"bytes written", static_cast<double>(cost.bytes_written)}};
    } else if (!instruction.outputs.empty()) {
      span.figures = {{"bytes", static_cast<double>(instruction.outputs.front().type.bytes())}};
    }
    trace.add(std::move(span));
  }
}

StepTrace* StepTracer::begin(std::int64_t step) {
  trace_.reset();
  const TraceConfig& config = options_.config;
  if (step < config.first || step >= config.first + config.steps) return nullptr;
  trace_.emplace(step, options_.rank, options_.host,
                 std::vector<std::string>{"compute", "communication"});
  return &*trace_;
}

void StepTracer::finish() {
  if (!trace_) return;
  try {
    create_folders(options_.folder, options_.access);
    write_file_atomically(options_.folder + "/" + trace_->file_name(), trace_->json(),
                          options_.access);
  } catch (const Error& error) {
    if (options_.warn) options_.warn(error.what());
  }
  trace_.reset();
}

}  // namespace ingot
