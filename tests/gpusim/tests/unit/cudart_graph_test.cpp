// Capture, graphs and their replays.
#include "cudart_fixture.hpp"

namespace gpusim::cudart {
namespace {

class Graphs : public testing::Test {
 protected:
  void TearDown() override {
    cudaGetLastError();
    for (cudaStream_t stream : {a_, b_}) cudaStreamDestroy(stream);
    cudaEventDestroy(event_);
    cudaEventDestroy(back_);
  }
  cudaGraphExec_t instantiate(cudaGraph_t graph) {
    cudaGraphExec_t exec = nullptr;
    EXPECT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    return exec;
  }
  static std::size_t nodes(cudaGraph_t graph) {
    std::size_t count = 0;
    EXPECT_EQ(cudaGraphGetNodes(graph, nullptr, &count), cudaSuccess);
    return count;
  }

  cudaStream_t a_ = new_stream(), b_ = new_stream();
  cudaEvent_t event_ = event_of_test(), back_ = event_of_test();
  cudaGraph_t graph_ = nullptr;
};

TEST_F(Graphs, ReplayWhatWasCapturedAndNothingBefore) {
  std::atomic<int> runs{0};
  ASSERT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_TRUE(is_capturing(a_));
  run_in(a_, [&] { ++runs; });
  run_in(a_, [&] { ++runs; });
  ASSERT_EQ(cudaStreamEndCapture(a_, &graph_), cudaSuccess);
  EXPECT_EQ(nodes(graph_), 2U);
  EXPECT_EQ(runs, 0);
  cudaGraphExec_t exec = instantiate(graph_);
  EXPECT_EQ(cudaGraphDestroy(graph_), cudaSuccess);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cudaGraphLaunch(exec, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(runs, 6);
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
}

TEST_F(Graphs, ForkAndJoinThroughEventsAndRunBranchesAtOnce) {
  Gate first, second;
  std::atomic<int> joined{0};
  ASSERT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  run_in(a_, [] {});
  cudaEventRecord(event_, a_);
  ASSERT_EQ(cudaStreamWaitEvent(b_, event_, 0), cudaSuccess);
  EXPECT_TRUE(is_capturing(b_));
  // Each branch waits for the other: they must run at the same time.
  run_in(a_, [&] {
    first.open();
    second.wait();
    ++joined;
  });
  run_in(b_, [&] {
    first.wait();
    second.open();
    ++joined;
  });
  cudaEventRecord(back_, b_);
  ASSERT_EQ(cudaStreamWaitEvent(a_, back_, 0), cudaSuccess);
  int seen = 0;
  run_in(a_, [&] { seen = joined; });
  ASSERT_EQ(cudaStreamEndCapture(a_, &graph_), cudaSuccess);
  EXPECT_FALSE(is_capturing(b_));
  EXPECT_EQ(nodes(graph_), 4U);
  std::size_t edges = 0;
  EXPECT_EQ(cudaGraphGetEdges(graph_, nullptr, nullptr, nullptr, &edges), cudaSuccess);
  EXPECT_EQ(edges, 4U);
  cudaGraphExec_t exec = instantiate(graph_);
  EXPECT_EQ(cudaGraphLaunch(exec, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(seen, 2);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph_);
}

TEST_F(Graphs, ReportBranchesThatShareMemoryWithoutAnEdge) {
  auto* data = device_array<int>(64);
  ASSERT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
  cudaEventRecord(event_, a_);
  cudaStreamWaitEvent(b_, event_, 0);
  run_in(
      a_, [] {}, writes(data, 256));
  run_in(
      b_, [] {}, writes(data, 256));
  cudaEventRecord(back_, b_);
  cudaStreamWaitEvent(a_, back_, 0);
  ASSERT_EQ(cudaStreamEndCapture(a_, &graph_), cudaSuccess);
  cudaGraphExec_t exec = instantiate(graph_);
  const std::uint64_t before = problems_reported();
  cudaGraphLaunch(exec, a_);
  run_in(
      a_, [] {}, writes(data, 256));
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(problems_reported() - before, 1U) << "the work behind the launch is ordered";
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph_);
  cudaFree(data);
}

TEST_F(Graphs, CallsThatCannotBeCapturedEndTheCapture) {
  auto begin = [&] {
    ASSERT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
  };
  void* pointer = nullptr;
  begin();
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(run_in(a_, [] {}), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph_), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(graph_, nullptr);
  begin();
  EXPECT_EQ(cudaMalloc(&pointer, 4), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph_), cudaErrorStreamCaptureInvalidated);
  begin();
  EXPECT_EQ(run_in(nullptr, [] {}), cudaErrorStreamCaptureImplicit);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph_), cudaErrorStreamCaptureInvalidated);
  cudaEventRecord(event_, b_);
  begin();
  EXPECT_EQ(cudaStreamWaitEvent(a_, event_, 0), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph_), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal),
            cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph_), cudaErrorIllegalState);
}

TEST_F(Graphs, WorkThatDoesNotJoinIsAnError) {
  ASSERT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
  cudaEventRecord(event_, a_);
  cudaStreamWaitEvent(b_, event_, 0);
  run_in(b_, [] {});
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph_), cudaErrorStreamCaptureUnjoined);
  EXPECT_FALSE(is_capturing(b_));
}

TEST_F(Graphs, RelaxedModeAndOtherThreadsMayAllocate) {
  void* pointer = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeRelaxed), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&pointer, 4), cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph_), cudaSuccess);
  cudaGraphDestroy(graph_);
  ASSERT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  cudaError_t other = cudaErrorUnknown;
  std::thread([&] { other = cudaFree(pointer); }).join();
  EXPECT_EQ(other, cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph_), cudaSuccess);
  cudaGraphDestroy(graph_);
}

TEST_F(Graphs, AreBuiltNodeByNode) {
  auto* data = device_array<int>(4);
  int host[4] = {1, 2, 3, 4}, result[4] = {};
  ASSERT_EQ(cudaGraphCreate(&graph_, 0), cudaSuccess);
  cudaGraphNode_t in = nullptr, fill = nullptr, out = nullptr;
  ASSERT_EQ(cudaGraphAddMemcpyNode1D(&in, graph_, nullptr, 0, data, host, sizeof(host),
                                     cudaMemcpyHostToDevice),
            cudaSuccess);
  cudaMemsetParams clear = {};
  clear.dst = data + 1;
  clear.elementSize = 4;
  clear.width = 2;
  clear.height = 1;
  clear.value = 77;
  ASSERT_EQ(cudaGraphAddMemsetNode(&fill, graph_, &in, 1, &clear), cudaSuccess);
  ASSERT_EQ(cudaGraphAddMemcpyNode1D(&out, graph_, &fill, 1, result, data, sizeof(host),
                                     cudaMemcpyDeviceToHost),
            cudaSuccess);
  EXPECT_EQ(cudaGraphAddDependencies(graph_, &out, &in, nullptr, 1), cudaErrorInvalidValue)
      << "that would be a cycle";
  cudaGraphExec_t exec = instantiate(graph_);
  EXPECT_EQ(cudaGraphLaunch(exec, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_THAT(result, testing::ElementsAre(1, 77, 77, 4));
  clear.value = 5;
  EXPECT_EQ(cudaGraphExecMemsetNodeSetParams(exec, fill, &clear), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(exec, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_THAT(result, testing::ElementsAre(1, 5, 5, 4));
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph_);
  cudaFree(data);
}

TEST_F(Graphs, UpdateTakesAGraphOfTheSameShape) {
  std::atomic<int> first{0}, second{0};
  auto capture = [&](std::atomic<int>& counter, int times) {
    EXPECT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
    for (int i = 0; i < times; ++i) run_in(a_, [&counter] { ++counter; });
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(a_, &graph), cudaSuccess);
    return graph;
  };
  cudaGraph_t one = capture(first, 2), two = capture(second, 2), three = capture(second, 3);
  cudaGraphExec_t exec = instantiate(one);
  cudaGraphExecUpdateResultInfo info = {};
  EXPECT_EQ(cudaGraphExecUpdate(exec, three, &info), cudaErrorGraphExecUpdateFailure);
  EXPECT_EQ(info.result, cudaGraphExecUpdateErrorTopologyChanged);
  EXPECT_EQ(cudaGraphExecUpdate(exec, two, &info), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(exec, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 2);
  cudaGraphExecDestroy(exec);
  for (cudaGraph_t graph : {one, two, three}) cudaGraphDestroy(graph);
}

TEST_F(Graphs, LaunchesOfOneExecutableFollowEachOtherAcrossStreams) {
  std::atomic<int> inside{0};
  std::atomic<bool> overlap{false};
  ASSERT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
  run_in(a_, [&] {
    if (++inside > 1) overlap = true;
    std::this_thread::yield();
    --inside;
  });
  ASSERT_EQ(cudaStreamEndCapture(a_, &graph_), cudaSuccess);
  cudaGraphExec_t exec = instantiate(graph_);
  for (int i = 0; i < 20; ++i) cudaGraphLaunch(exec, i % 2 == 0 ? a_ : b_);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_FALSE(overlap);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph_);
}

TEST_F(Graphs, StaleHandlesAreErrors) {
  ASSERT_EQ(cudaGraphCreate(&graph_, 0), cudaSuccess);
  cudaGraphNode_t node = nullptr;
  ASSERT_EQ(cudaGraphAddEmptyNode(&node, graph_, nullptr, 0), cudaSuccess);
  ASSERT_EQ(cudaGraphDestroy(graph_), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph_), cudaErrorInvalidValue);
  cudaGraphNodeType type;
  EXPECT_EQ(cudaGraphNodeGetType(node, &type), cudaErrorInvalidValue);
}

}  // namespace
}  // namespace gpusim::cudart
