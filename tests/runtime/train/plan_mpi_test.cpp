// Plans of a job against what each of its ranks then holds. Started by ctest under mpirun with 1 to
// 8 ranks.
#include <gtest/gtest.h>

#include "collectives/mpi/control_channel.hpp"
#include "collectives/mpi/mpi_communicator.hpp"
#include "collectives/mpi/mpi_session.hpp"
#include "runtime/train/run_estimate.hpp"
#include "tests/runtime/train/plan_cases.hpp"

namespace ingot::test {
namespace {

MpiSession* session = nullptr;  // made by main, since MPI lives once in a process

TEST(PlansOfJobs, HoldToTheByteWhatRanksThenHold) {
  std::unique_ptr<cpu::CpuDevice> owner;
  Device& device = make_device(owner, 1);
  Registry registry;
  register_test_ops(registry);
  const std::unique_ptr<Communicator> communicator = create_mpi_communicator(*session);
  for (const PlanCase& wanted : plan_cases_of_ranks(session->size())) {
    SCOPED_TRACE(wanted.name);
    const Config config = config_of(wanted, session->size());
    // Rank 0's plan stands for all: `ingot plan` makes no other.
    const PlannedRun run =
        plan_run({config, wanted.data, registry, device, {session->size(), 0, wanted.node_ranks}});
    const RunEstimate planned = estimate_run(run.plan, run.options);
    EngineOptions options{config, wanted.data, wanted.micro_batches};
    options.node_ranks = wanted.node_ranks;
    const std::int64_t before = device.allocated_bytes();
    const Engine engine(options, registry, device, communicator.get());
    EXPECT_EQ(planned.buffers, engine.memory().table());
    if (session->size() == 1) {
      EXPECT_EQ(planned.bytes(), device.allocated_bytes() - before);
    }
  }
}

}  // namespace
}  // namespace ingot::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ingot::MpiSession session;
  ingot::test::session = &session;
  if (session.rank() != 0) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
  }
  const int failed = RUN_ALL_TESTS();
  // Every rank ends as the worst one.
  return static_cast<int>(session.control().max(failed));
}
