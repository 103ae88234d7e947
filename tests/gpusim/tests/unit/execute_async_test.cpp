// Asynchronous copies, mbarriers, and matrix loads.
#include <numeric>

#include "execute_support.hpp"

namespace gpusim::test {
namespace {

/// %r1 thread, %r3 shared array of 1 KiB, %r4 the thread's word in it, %rd1 input, %rd5 output.
Kernels kernel(const std::string& code) {
  return Kernels(R"(
.visible .entry k(.param .u64 in, .param .u64 out) {
  .reg .pred %p<6>; .reg .b32 %r<24>; .reg .b64 %rd<10>;
  .shared .align 16 .b8 s[1024];
  .shared .align 8 .b8 m[8];
  ld.param.u64 %rd1, [in];
  ld.param.u64 %rd5, [out];
  mov.u32 %r1, %tid.x;
  shl.b32 %r2, %r1, 2;
  mov.u32 %r3, s;
  add.u32 %r4, %r3, %r2;
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd3, %rd1, %rd2;
  add.s64 %rd6, %rd5, %rd2;
  setp.eq.u32 %p1, %r1, 0;
)" + code + "\n  ret;\n}");
}

std::vector<int> counting(std::size_t n) {
  std::vector<int> values(n);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

TEST(Async, GroupsCompleteOldestFirst) {
  Kernels k = kernel(R"(
  cp.async.ca.shared.global [%r4], [%rd3], 4;
  cp.async.commit_group;
  cp.async.ca.shared.global [%r4+128], [%rd3+128], 4;
  cp.async.commit_group;
  cp.async.wait_group 1;
  ld.shared.u32 %r5, [%r4];
  cp.async.wait_all;
  ld.shared.u32 %r6, [%r4+128];
  mad.lo.u32 %r7, %r6, 1000, %r5;
  st.global.u32 [%rd6], %r7;
)");
  Memory<int> in(counting(64)), out(32);
  ASSERT_TRUE(clean(k.run("k", {1}, {32}, in, out)));
  EXPECT_EQ(out[5], 37005);
}

TEST(Async, AShortSourceIsFilledWithZeros) {
  Kernels k = kernel(R"(
  shl.b32 %r5, %r1, 4;
  add.u32 %r5, %r3, %r5;
  mul.wide.u32 %rd7, %r1, 16;
  add.s64 %rd7, %rd1, %rd7;
  mov.u32 %r6, 8;
  cp.async.cg.shared.global [%r5], [%rd7], 16, %r6;
  cp.async.wait_all;
  ld.shared.v4.u32 {%r7, %r8, %r9, %r10}, [%r5];
  add.u32 %r7, %r7, %r8;
  add.u32 %r9, %r9, %r10;
  mad.lo.u32 %r7, %r9, 1000, %r7;
  st.global.u32 [%rd6], %r7;
)");
  Memory<int> in(counting(128)), out(32);
  ASSERT_TRUE(clean(k.run("k", {1}, {32}, in, out)));
  EXPECT_EQ(out[3], 12 + 13);
}

TEST(Async, AnMbarrierCompletesWithBytesAndArrivals) {
  Kernels k = kernel(R"(
  mov.u32 %r5, m;
  @!%p1 bra GO;
  mbarrier.init.shared.b64 [%r5], 1;
GO:
  bar.sync 0;
  @!%p1 bra WAIT;
  mbarrier.arrive.expect_tx.shared.b64 %rd7, [%r5], 256;
  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%rd1], 256, [%r5];
WAIT:
  mbarrier.try_wait.parity.shared.b64 %p2, [%r5], 0;
  @!%p2 bra WAIT;
  ld.shared.u32 %r6, [%r4];
  st.global.u32 [%rd6], %r6;
)");
  Memory<int> in(counting(64)), out(64);
  ASSERT_TRUE(clean(k.run("k", {1}, {64}, in, out)));
  EXPECT_EQ(out[63], 63);
}

TEST(Async, ReadingBulkDataBeforeTheMbarrierIsReported) {
  Kernels k = kernel(R"(
  mov.u32 %r5, m;
  @!%p1 bra END;
  mbarrier.init.shared.b64 [%r5], 1;
  mbarrier.arrive.expect_tx.shared.b64 _, [%r5], 256;
  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%rd1], 256, [%r5];
  ld.shared.u32 %r6, [%r4];
  st.global.u32 [%rd6], %r6;
END:
)");
  Memory<int> in(counting(64)), out(64);
  const LaunchResult result = k.run("k", {1}, {32}, in, out);
  EXPECT_NE(result.reports.find("has not been waited for"), std::string::npos) << result.reports;
}

TEST(Async, CopiesCanArriveOnAnMbarrier) {
  Kernels k = kernel(R"(
  mov.u32 %r5, m;
  @!%p1 bra GO;
  mbarrier.init.shared.b64 [%r5], 64;
GO:
  bar.sync 0;
  cp.async.ca.shared.global [%r4], [%rd3], 4;
  cp.async.mbarrier.arrive.noinc.shared.b64 [%r5];
WAIT:
  mbarrier.test_wait.parity.shared.b64 %p2, [%r5], 0;
  @!%p2 bra WAIT;
  xor.b32 %r6, %r2, 252;
  add.u32 %r6, %r3, %r6;
  ld.shared.u32 %r7, [%r6];
  st.global.u32 [%rd6], %r7;
)");
  Memory<int> in(counting(64)), out(64);
  ASSERT_TRUE(clean(k.run("k", {1}, {64}, in, out)));
  EXPECT_EQ(out[1], 62);
}

TEST(Async, BulkCopiesToGlobalMemoryHaveToBeWaitedFor) {
  const auto store = [](const std::string& wait) {
    return kernel(
        "  st.shared.u32 [%r4], %r1; bar.sync 0; @!%p1 bra END;"
        " cp.async.bulk.global.shared::cta.bulk_group [%rd5], [%r3], 128;"
        " cp.async.bulk.commit_group; " +
        wait + "\nEND:\n");
  };
  Memory<int> in(counting(1)), out(std::vector<int>(32, -1));
  ASSERT_TRUE(clean(store("cp.async.bulk.wait_group.read 0;").run("k", {1}, {32}, in, out)));
  EXPECT_EQ(out[31], 31);
  const LaunchResult result = store("").run("k", {1}, {32}, in, out);
  EXPECT_NE(result.reports.find("unfinished bulk copy"), std::string::npos) << result.reports;
}

TEST(Async, AnMbarrierMustBeInitialised) {
  Kernels k = kernel("  mov.u32 %r5, m; mbarrier.arrive.shared.b64 %rd7, [%r5];");
  Memory<int> in(counting(1)), out(32);
  const LaunchResult result = k.run("k", {1}, {32}, in, out);
  EXPECT_EQ(result.fault, Fault::kTrap);
  EXPECT_NE(result.message.find("not been initialised"), std::string::npos) << result.message;
}

TEST(Async, LdmatrixGivesRowsOrColumns) {
  // An 8x8 matrix whose element (r, c) is 8 r + c.
  const auto load = [](const std::string& form) {
    return kernel(R"(
  shl.b32 %r5, %r1, 1;
  add.u32 %r6, %r5, 1;
  shl.b32 %r6, %r6, 16;
  or.b32 %r5, %r5, %r6;
  st.shared.u32 [%r4], %r5;
  bar.warp.sync -1;
  and.b32 %r7, %r1, 7;
  shl.b32 %r7, %r7, 4;
  add.u32 %r7, %r3, %r7;
  )" + form + R"( {%r8}, [%r7];
  st.global.u32 [%rd6], %r8;
)");
  };
  Memory<int> in(counting(1)), out(32);
  ASSERT_TRUE(clean(load("ldmatrix.sync.aligned.m8n8.x1.shared.b16").run("k", {1}, {32}, in, out)));
  EXPECT_EQ(out[5], (11 << 16) | 10);  // row 1, columns 2 and 3
  ASSERT_TRUE(
      clean(load("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16").run("k", {1}, {32}, in, out)));
  EXPECT_EQ(out[5], (25 << 16) | 17);  // rows 2 and 3, column 1
}

}  // namespace
}  // namespace gpusim::test
