// Branches, loops, and lanes of one warp that wait for each other.
#include "execute_support.hpp"

namespace gpusim::test {
namespace {

TEST(Execute, AddsVectorsWithATailThatIsNotFull) {
  Kernels k(R"(
.visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n) {
  .reg .pred %p<2>; .reg .b32 %r<8>; .reg .f32 %f<4>; .reg .b64 %rd<12>;
  ld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [b]; ld.param.u64 %rd3, [c];
  ld.param.u32 %r1, [n];
  mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.x;
  mad.lo.s32 %r5, %r2, %r3, %r4;
  setp.ge.s32 %p1, %r5, %r1;
  @%p1 bra DONE;
  cvta.to.global.u64 %rd4, %rd1;
  mul.wide.s32 %rd5, %r5, 4;
  add.s64 %rd6, %rd4, %rd5;
  cvta.to.global.u64 %rd7, %rd2;
  add.s64 %rd8, %rd7, %rd5;
  ld.global.f32 %f1, [%rd6];
  ld.global.f32 %f2, [%rd8];
  add.f32 %f3, %f1, %f2;
  cvta.to.global.u64 %rd9, %rd3;
  add.s64 %rd10, %rd9, %rd5;
  st.global.f32 [%rd10], %f3;
DONE:
  ret;
})");
  constexpr int kCount = 1000;
  std::vector<float> a(kCount), b(kCount);
  for (int i = 0; i < kCount; ++i) {
    a[static_cast<std::size_t>(i)] = static_cast<float>(i);
    b[static_cast<std::size_t>(i)] = 0.5f;
  }
  Memory<float> da(a), db(b), dc(kCount);
  const LaunchResult result = k.run("add", {8}, {128}, da, db, dc, kCount);
  ASSERT_TRUE(clean(result));
  for (int i = 0; i < kCount; ++i) {
    ASSERT_EQ(dc[static_cast<std::size_t>(i)], static_cast<float>(i) + 0.5f);
  }
  EXPECT_EQ(result.counters.threads, 1024u);
  EXPECT_EQ(result.counters.global_load_bytes, 8000u);
  EXPECT_EQ(result.counters.global_store_bytes, 4000u);
  EXPECT_EQ(result.counters.global_load_requests, 64u);
  EXPECT_EQ(result.counters.global_load_sectors, 250u);
  EXPECT_EQ(result.counters.divergent_branches, 1u);
}

TEST(Execute, RunsLoopsWhoseLengthDiffersByLane) {
  Kernels k(R"(
.visible .entry triangle(.param .u64 out) {
  .reg .pred %p<2>; .reg .b32 %r<5>; .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, 0; mov.u32 %r3, 0;
LOOP:
  add.s32 %r3, %r3, %r2;
  add.s32 %r2, %r2, 1;
  setp.le.s32 %p1, %r2, %r1;
  @%p1 bra LOOP;
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd2, %rd1, %rd2;
  st.global.u32 [%rd2], %r3;
  ret;
})");
  Memory<int> out(64);
  ASSERT_TRUE(clean(k.run("triangle", {1}, {64}, out)));
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], i * (i + 1) / 2);
}

TEST(Execute, ReconvergesBehindAnIfWhoseColdSideStandsAfterRet) {
  Kernels k(R"(
.visible .entry k(.param .u64 out) {
  .reg .pred %p<2>; .reg .b32 %r<5>; .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  and.b32 %r2, %r1, 1;
  setp.eq.s32 %p1, %r2, 0;
  mov.u32 %r3, 5;
  @%p1 bra COLD;
JOIN:
  activemask.b32 %r4;
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd2, %rd1, %rd2;
  st.global.u32 [%rd2], %r4;
  ret;
COLD:
  mov.u32 %r3, 7;
  bra JOIN;
})");
  Memory<std::uint32_t> out(32);
  ASSERT_TRUE(clean(k.run("k", {1}, {32}, out)));
  for (std::size_t i = 0; i < 32; ++i) EXPECT_EQ(out[i], 0xffffffffu);
}

TEST(Execute, LanesOfOneWarpCanHoldASpinLockInTurn) {
  Kernels k(R"(
.visible .entry lock(.param .u64 mutex, .param .u64 counter) {
  .reg .pred %p<2>; .reg .b32 %r<5>; .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [mutex]; ld.param.u64 %rd2, [counter];
SPIN:
  atom.global.cas.b32 %r1, [%rd1], 0, 1;
  setp.ne.s32 %p1, %r1, 0;
  @%p1 bra SPIN;
  ld.volatile.global.u32 %r2, [%rd2];
  add.s32 %r2, %r2, 1;
  st.volatile.global.u32 [%rd2], %r2;
  membar.gl;
  atom.global.exch.b32 %r3, [%rd1], 0;
  ret;
})");
  auto mutex = std::vector<int>(1), counter = std::vector<int>(1);
  Memory<int> m(mutex), c(counter);
  ASSERT_TRUE(clean(k.run("lock", {4}, {96}, m, c)));
  EXPECT_EQ(c[0], 4 * 96);
}

TEST(Execute, AProducerLaneAndAConsumerLaneInDifferentBranchesMeet) {
  Kernels k(R"(
.visible .entry pipe(.param .u64 flag, .param .u64 out) {
  .reg .pred %p<3>; .reg .b32 %r<5>; .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [flag]; ld.param.u64 %rd2, [out];
  mov.u32 %r1, %tid.x;
  setp.eq.s32 %p1, %r1, 0;
  @%p1 bra PRODUCE;
WAIT:
  ld.acquire.gpu.global.u32 %r2, [%rd1];
  setp.eq.s32 %p2, %r2, 0;
  @%p2 bra WAIT;
  atom.global.add.u32 %r3, [%rd2], %r2;
  bra END;
PRODUCE:
  st.release.gpu.global.u32 [%rd1], 3;
END:
  ret;
})");
  Memory<int> flag(std::vector<int>(1)), out(std::vector<int>(1));
  ASSERT_TRUE(clean(k.run("pipe", {1}, {32}, flag, out)));
  EXPECT_EQ(out[0], 3 * 31);
}

TEST(Execute, SyncwarpFromBothSidesOfABranchIsOneBarrier) {
  Kernels k(R"(
.visible .entry k(.param .u64 out) {
  .reg .pred %p<3>; .reg .b32 %r<5>; .reg .b64 %rd<3>;
  .shared .align 4 .b8 s[128];
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, s;
  shl.b32 %r3, %r1, 2;
  add.u32 %r2, %r2, %r3;
  setp.lt.s32 %p1, %r1, 16;
  @%p1 bra LOW;
  st.shared.u32 [%r2], %r1;
  bar.warp.sync -1;
  mov.u32 %r4, 0;
  bra END;
LOW:
  bar.warp.sync -1;
  ld.shared.u32 %r4, [%r2+64];
END:
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd2, %rd1, %rd2;
  st.global.u32 [%rd2], %r4;
  ret;
})");
  Memory<int> out(32);
  ASSERT_TRUE(clean(k.run("k", {1}, {32}, out)));
  for (int i = 0; i < 16; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], i + 16);
}

TEST(Execute, BrxIdxJumpsByTable) {
  Kernels k(R"(
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<5>; .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  and.b32 %r2, %r1, 3;
  TABLE: .branchtargets L0, L1, L2, L3;
  brx.idx %r2, TABLE;
L0: mov.u32 %r3, 10; bra END;
L1: mov.u32 %r3, 11; bra END;
L2: mov.u32 %r3, 12; bra END;
L3: mov.u32 %r3, 13;
END:
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd2, %rd1, %rd2;
  st.global.u32 [%rd2], %r3;
  ret;
})");
  Memory<int> out(32);
  ASSERT_TRUE(clean(k.run("k", {1}, {32}, out)));
  for (int i = 0; i < 32; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], 10 + i % 4);
}

}  // namespace
}  // namespace gpusim::test
