// Barriers of a block, of named groups of threads, of clusters, and blocks that wait for blocks.
#include "execute_support.hpp"

namespace gpusim::test {
namespace {

/// Code that stores %r<value> to out[%tid.x].
const char* const kStoreByThread = R"(
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd2, %rd1, %rd2;
  st.global.u32 [%rd2], %r9;
  ret;
})";

std::string kernel(const std::string& body) {
  return R"(
.visible .entry k(.param .u64 out) {
  .reg .pred %p<6>; .reg .b32 %r<16>; .reg .b64 %rd<6>;
  .shared .align 4 .b8 s[4096];
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  shl.b32 %r2, %r1, 2;
  mov.u32 %r3, s;
  add.u32 %r4, %r3, %r2;
)" + body +
         kStoreByThread;
}

TEST(Execute, ABarrierOrdersSharedMemoryOfABlock) {
  Kernels k(kernel(R"(
  st.shared.u32 [%r4], %r1;
  bar.sync 0;
  xor.b32 %r5, %r1, 255;
  shl.b32 %r5, %r5, 2;
  add.u32 %r5, %r3, %r5;
  ld.shared.u32 %r9, [%r5];
)"));
  Memory<int> out(256);
  const LaunchResult result = k.run("k", {1}, {256}, out);
  ASSERT_TRUE(clean(result));
  for (int i = 0; i < 256; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], i ^ 255);
  EXPECT_EQ(result.counters.barriers, 1u);
}

TEST(Execute, BarrierSyncMayBeEnteredByDivergedLanes) {
  Kernels k(kernel(R"(
  st.shared.u32 [%r4], %r1;
  and.b32 %r5, %r1, 1;
  setp.eq.s32 %p1, %r5, 0;
  @%p1 bra EVEN;
  barrier.sync 0;
  mov.u32 %r9, 1;
  bra END;
EVEN:
  barrier.sync 0;
  ld.shared.u32 %r9, [%r4+4];
END:
)"));
  Memory<int> out(64);
  ASSERT_TRUE(clean(k.run("k", {1}, {64}, out)));
  for (int i = 0; i < 64; i += 2) EXPECT_EQ(out[static_cast<std::size_t>(i)], i + 1);
}

TEST(Execute, ThreadsThatHaveExitedAreNotWaitedFor) {
  Kernels k(kernel(R"(
  setp.ge.u32 %p1, %r1, 40;
  @%p1 bra LEAVE;
  bar.sync 0;
  mov.u32 %r9, 5;
  bra GO;
LEAVE:
  ret;
GO:
)"));
  Memory<int> out(64);
  ASSERT_TRUE(clean(k.run("k", {1}, {64}, out)));
  EXPECT_EQ(out[39], 5);
}

TEST(Execute, ReductionsOverABarrier) {
  Kernels k(kernel(R"(
  setp.lt.u32 %p1, %r1, 70;
  bar.red.popc.u32 %r5, 0, %p1;
  bar.red.and.pred %p2, 0, %p1;
  bar.red.or.pred %p3, 0, !%p1;
  selp.u32 %r6, 1000, 0, %p2;
  selp.u32 %r7, 10000, 0, %p3;
  add.u32 %r9, %r5, %r6;
  add.u32 %r9, %r9, %r7;
)"));
  Memory<int> out(96);
  ASSERT_TRUE(clean(k.run("k", {1}, {96}, out)));
  EXPECT_EQ(out[0], 70 + 10000);
  EXPECT_EQ(out[95], 70 + 10000);
}

TEST(Execute, NamedBarriersSynchroniseAProducerWarpAndAConsumerWarp) {
  Kernels k(kernel(R"(
  setp.lt.u32 %p1, %r1, 32;
  @%p1 bra PRODUCE;
  bar.sync 3, 64;
  ld.shared.u32 %r9, [%r4+-128];
  bra END;
PRODUCE:
  st.shared.u32 [%r4], %r1;
  bar.arrive 3, 64;
  mov.u32 %r9, 0;
END:
)"));
  Memory<int> out(64);
  ASSERT_TRUE(clean(k.run("k", {1}, {64}, out)));
  EXPECT_EQ(out[63], 31);
}

TEST(Execute, ALookBackSpinBetweenBlocksEnds) {
  Kernels k(R"(
.visible .entry chain(.param .u64 flags) {
  .reg .pred %p<3>; .reg .b32 %r<8>; .reg .b64 %rd<6>;
  ld.param.u64 %rd1, [flags];
  mov.u32 %r1, %tid.x;
  setp.ne.s32 %p1, %r1, 0;
  @%p1 bra END;
  mov.u32 %r2, %ctaid.x;
  mul.wide.u32 %rd2, %r2, 4;
  add.s64 %rd3, %rd1, %rd2;
WAIT:
  ld.acquire.gpu.global.u32 %r3, [%rd3];
  setp.eq.s32 %p2, %r3, 0;
  @%p2 bra WAIT;
  add.s32 %r4, %r3, 1;
  st.release.gpu.global.u32 [%rd3+4], %r4;
END:
  ret;
})");
  std::vector<int> start(201);
  start[0] = 1;
  Memory<int> flags(start);
  ASSERT_TRUE(clean(k.run("chain", {200}, {64}, flags)));
  EXPECT_EQ(flags[200], 201);
}

TEST(Execute, AGridBarrierOfACooperativeLaunchNeedsAllBlocks) {
  Kernels k(R"(
.visible .entry k(.param .u64 out) {
  .reg .pred %p<3>; .reg .b32 %r<8>; .reg .b64 %rd<6>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %envreg1; mov.u32 %r2, %envreg2;
  mov.b64 %rd2, {%r2, %r1};
  atom.global.add.release.gpu.u32 %r3, [%rd2+4], 1;
  mov.u32 %r4, %nctaid.x;
WAIT:
  ld.acquire.gpu.u32 %r5, [%rd2+4];
  setp.lt.u32 %p1, %r5, %r4;
  @%p1 bra WAIT;
  st.global.u32 [%rd1], %r5;
  ret;
})");
  Memory<int> out(1);
  LaunchRequest request = k.request("k", {300}, {1});
  request.cooperative = true;
  ASSERT_TRUE(clean(k.run_request(request, out)));
  EXPECT_EQ(out[0], 300);
}

TEST(Execute, BlocksOfAClusterReadEachOthersSharedMemory) {
  Kernels k(R"(
.visible .entry k(.param .u64 out) {
  .reg .pred %p<3>; .reg .b32 %r<12>; .reg .b64 %rd<6>;
  .shared .align 4 .b8 s[4];
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %cluster_ctarank;
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, s;
  st.shared.u32 [%r3], %r2;
  barrier.cluster.arrive.release.aligned;
  barrier.cluster.wait.acquire.aligned;
  xor.b32 %r4, %r1, 1;
  mapa.shared::cluster.u32 %r5, %r3, %r4;
  ld.shared::cluster.u32 %r6, [%r5];
  barrier.cluster.arrive.release.aligned;
  barrier.cluster.wait.acquire.aligned;
  mul.wide.u32 %rd2, %r2, 4;
  add.s64 %rd2, %rd1, %rd2;
  st.global.u32 [%rd2], %r6;
  ret;
})");
  Memory<int> out(8);
  LaunchRequest request = k.request("k", {8}, {32});
  request.cluster = {2};
  ASSERT_TRUE(clean(k.run_request(request, out)));
  for (int i = 0; i < 8; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], i ^ 1);
}

TEST(Execute, ABarrierThatSomeThreadsNeverReachIsADeadlockThatNamesIt) {
  Kernels k(kernel(R"(
  setp.lt.u32 %p1, %r1, 32;
  @%p1 bra LOW;
  bar.sync 1, 96;
LOW:
  mov.u32 %r9, 0;
)"));
  Memory<int> out(64);
  const LaunchResult result = k.run("k", {1}, {64}, out);
  EXPECT_EQ(result.fault, Fault::kDeadlock);
  EXPECT_NE(result.message.find("bar.sync 1, 96"), std::string::npos) << result.message;
}

TEST(Execute, PollingInVainIsADeadlockAfterAWhile) {
  Kernels k(R"(
.visible .entry k(.param .u64 flag) {
  .reg .pred %p<3>; .reg .b32 %r<8>; .reg .b64 %rd<6>;
  ld.param.u64 %rd1, [flag];
WAIT:
  ld.volatile.global.u32 %r3, [%rd1];
  setp.eq.s32 %p2, %r3, 0;
  @%p2 bra WAIT;
  ret;
})");
  Memory<int> flag(std::vector<int>(1));
  const LaunchResult result = k.run("k", {2}, {32}, flag);
  EXPECT_EQ(result.fault, Fault::kDeadlock);
  EXPECT_NE(result.message.find("poll in vain"), std::string::npos) << result.message;
}

}  // namespace
}  // namespace gpusim::test
