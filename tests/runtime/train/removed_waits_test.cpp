// Takes single event waits out of the programs of a sharded run and runs what is left on a
// simulated GPU: gpusim has to miss each of them, or the scheduler emits waits for nothing. Started
// by ctest with GPUSIM_ON_PROBLEM=continue; elsewhere passed over.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <deque>

#include "collectives/host_staging.hpp"
#include "tests/runtime/train/engine_fixture.hpp"

namespace ingot {
namespace {

constexpr int kRanks = 4;
constexpr int kRank = 1;
constexpr int kMicroBatches = 2;
constexpr int kVocabulary = 29;

/// A rank whose peers do not exist: it touches device memory as a staged transport does, and what
/// arrives from others is zero.
class LonelyRank final : public Communicator {
 public:
  int rank() const override { return kRank; }
  int size() const override { return kRanks; }
  std::string transport() const override { return "none"; }
  void reserve(Stream& stream, std::int64_t bytes) override { staging_.reserve(stream, bytes); }
  [[noreturn]] void abort(int /*exit_code*/) override { std::abort(); }

 protected:
  std::unique_ptr<Communicator> create_split(int /*color*/, int /*key*/) override {
    fail(ExitCode::kInternal, "a lonely rank has no parts");
  }
  void enqueue(const CollectiveCall& call, Stream& stream) override {
    const CollectiveCall staged = staging_.copy_in(call, stream, kRanks);
    if (!call.in_place()) {
      arrivals_.push_back({staged.to, static_cast<std::size_t>(call.to_bytes(kRanks))});
      stream.call(arrive, &arrivals_.back());
    }
    HostStaging::copy_out(call, staged, stream, kRanks);
  }

 private:
  struct Arrival {
    void* to;
    std::size_t bytes;
  };
  static void arrive(void* context) {
    const auto* arrival = static_cast<Arrival*>(context);
    std::memset(arrival->to, 0, arrival->bytes);
  }
  HostStaging staging_;
  std::deque<Arrival> arrivals_;
};

/// One wait of one of the programs: micro batches in their order, then the update.
struct Wait {
  std::size_t program = 0;
  std::size_t instruction = 0;
};

class RemovedWaits : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  RemovedWaits() : device_(test::make_device(cpu_device_, 1)) {
    test::register_test_ops(registry_);
    config_ = test::tiny_gpt(false);
    config_.model.width = 16;
    config_.model.heads = 2;
    config_.model.context = 8;
    config_.batch.micro = 1;
    config_.parallel.bucket = 1 << 12;  // several
    config_.parallel.shard = std::get<0>(GetParam());
    config_.parallel.reduction = std::get<1>(GetParam());
    config_.optimizer.ema = 0.5;
  }
  void SetUp() override {
    const char* problems = std::getenv("GPUSIM_ON_PROBLEM");
    if (!test::on_cuda() || problems == nullptr || std::string_view(problems) != "continue") {
      GTEST_SKIP() << "for a simulated GPU that goes on after a problem";
    }
  }

  EnginePlan plan() const {
    const ParallelPlan parallel =
        plan_parallel(config_, {.ranks = kRanks, .rank = kRank}, kMicroBatches);
    return plan_engine({config_, {.vocabulary = kVocabulary}}, registry_, device_, parallel);
  }
  static std::vector<PreparedProgram*> programs_of(EnginePlan& plan) {
    std::vector<PreparedProgram*> programs;
    for (PreparedProgram& prepared : plan.micros) programs.push_back(&prepared);
    programs.push_back(&*plan.update);
    return programs;
  }
  static std::vector<Instruction>& instructions_of(EnginePlan& plan, const Wait& wait) {
    return programs_of(plan)[wait.program]->program.instructions;
  }
  static std::vector<Wait> waits_of(EnginePlan& plan) {
    std::vector<Wait> waits;
    for (std::size_t p = 0; p < programs_of(plan).size(); ++p) {
      const std::vector<Instruction>& instructions = instructions_of(plan, {p, 0});
      for (std::size_t i = 0; i < instructions.size(); ++i) {
        if (instructions[i].kind == InstructionKind::kWait) waits.push_back({p, i});
      }
    }
    return waits;
  }
  static std::string name_of(EnginePlan& plan, const Wait& wait) {
    const Instruction& instruction = instructions_of(plan, wait)[wait.instruction];
    return fmt::format("program {}, instruction {}: stream {} waits for {}",
                       programs_of(plan)[wait.program]->program.name, wait.instruction,
                       instruction.stream, instruction.label);
  }
  static void remove(EnginePlan& plan, const Wait& wait) {
    std::vector<Instruction>& instructions = instructions_of(plan, wait);
    instructions.erase(instructions.begin() + static_cast<std::ptrdiff_t>(wait.instruction));
  }
  /// Runs a step and half of another one and returns what gpusim says to them.
  std::string run(EnginePlan plan) {
    ::testing::internal::CaptureStderr();
    std::string refused;
    try {
      run_steps(std::move(plan));
    } catch (const Error& error) {
      // A stream that never joins the capture of a program, or never comes back, is CUDA's to
      // refuse.
      refused = fmt::format("refused: {}\n", error.what());
    }
    return refused + ::testing::internal::GetCapturedStderr();
  }

 private:
  void run_steps(EnginePlan plan) {
    const std::unique_ptr<Stream> compute = device_.create_stream("compute");
    const std::unique_ptr<Stream> communication = device_.create_stream("communication");
    Memory memory(device_);
    ParameterStore store(plan.layout, plan.type, memory, plan.parallel, &config_.optimizer);
    for (const auto& [name, type] : engine_buffers(plan)) memory.allocate(name, type);
    plan.for_each([&](const Program& program) {
      memory.allocate_buffers(program);
      memory.reserve_arena(program.arena_bytes);
    });
    memory.allocate_arena();
    LonelyRank ranks;
    std::optional<OrderedReduction> ordered;
    if (plan.parallel.ordered) ordered.emplace(ranks, reduction_tree(plan.parallel));
    const Communicators communicators{&ranks, &ranks, &ranks, ordered ? &*ordered : nullptr};
    store.initialise(1);
    store.copy_to_average();
    store.refresh_weights(*compute, &ranks);
    const test::RandomBatch batch =
        test::random_tokens(config_.batch.micro, config_.model.context, kVocabulary, 1);
    for (const HostTensor& tensor : batch.tensors()) {
      if (!memory.has(tensor.buffer)) continue;
      memory.transfer().write(memory.view(tensor.buffer).data, tensor.data, tensor.bytes);
    }
    Buffer scalars = device_.allocate_host(sizeof(StepScalars), "step scalars");
    StepScalars start;
    start.step = start.adam_step = 1;
    start.learning_rate = 1e-3;
    std::memcpy(scalars.data(), &start, sizeof start);
    compute->synchronize();

    std::vector<Executable> executables;
    for (PreparedProgram* prepared : programs_of(plan)) {
      executables.emplace_back(std::move(*prepared), memory, device_,
                               Streams{compute.get(), communication.get()}, communicators);
    }
    // A step and what follows it, without any waiting of the host in between: that would order what
    // the programs have to order.
    for (int step = 0; step < 2; ++step) {
      device_.copy(*compute, memory.view(buffer::kScalars).data, scalars.data(), sizeof start);
      for (const std::size_t micro : plan.micro_of_batch) executables[micro].enqueue();
      if (step == 0) executables.back().enqueue();
    }
    compute->synchronize();
    communication->synchronize();
  }

  std::unique_ptr<cpu::CpuDevice> cpu_device_;
  Device& device_;
  Registry registry_;
  Config config_;
};

TEST_P(RemovedWaits, AreFoundByTheSimulatorsOrderOfStreams) {
  EnginePlan whole = plan();
  const std::vector<Wait> waits = waits_of(whole);
  ASSERT_GE(waits.size(), 5U);
  EXPECT_EQ(run(plan()), "") << "with all waits";
  int by_order = 0;
  int by_capture = 0;
  for (const Wait& wait : waits) {
    EnginePlan without = plan();
    remove(without, wait);
    const std::string told = run(std::move(without));
    if (told.find("gpusim: stream order") != std::string::npos) {
      ++by_order;
    } else if (told.find("cudaErrorStreamCapture") != std::string::npos) {
      ++by_capture;
    } else {
      ADD_FAILURE() << name_of(whole, wait) << " is not missed:\n" << told;
    }
  }
  EXPECT_GE(by_order, 4);
  std::cout << "of " << waits.size() << " waits " << by_order
            << " are missed by the order of streams, " << by_capture << " by the capture\n";
  EXPECT_EQ(run(plan()), "") << "with all waits again";
}

INSTANTIATE_TEST_SUITE_P(
    Modes, RemovedWaits,
    ::testing::Values(std::tuple("none", "ordered"), std::tuple("optimizer", "ordered"),
                      std::tuple("gradients", "ordered"), std::tuple("parameters", "fast"),
                      std::tuple("parameters", "ordered")),
    [](const auto& mode) {
      return std::string(std::get<0>(mode.param)) + "_" + std::get<1>(mode.param);
    });

}  // namespace
}  // namespace ingot
