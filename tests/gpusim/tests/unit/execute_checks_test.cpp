// Each detector finds the bug that it is for, once, and says where.
#include "execute_support.hpp"

namespace gpusim::test {
namespace {

using testing::internal::CaptureStderr;

Kernels shared_kernel(const std::string& code) {
  return Kernels(R"(
.visible .entry k(.param .u64 out) {
  .reg .pred %p<6>; .reg .b32 %r<16>; .reg .b64 %rd<8>; .reg .f32 %f<4>;
  .shared .align 16 .b8 s[1024];
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  shl.b32 %r2, %r1, 2;
  mov.u32 %r3, s;
  add.u32 %r4, %r3, %r2;
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd3, %rd1, %rd2;
)" + code + "\n  ret;\n}");
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Checks, AccessBeyondTheEndNamesTheAllocationAndTheThread) {
  Kernels k = shared_kernel("  st.global.u32 [%rd3], %r1;");
  Memory<int> out(100, "cudaMalloc #7");
  const LaunchResult result = k.run("k", {1}, {128}, out);
  EXPECT_EQ(result.fault, Fault::kIllegalAddress);
  EXPECT_TRUE(contains(result.message, "cudaMalloc #7")) << result.message;
  EXPECT_TRUE(contains(result.message, "thread (100,0,0)")) << result.message;
  EXPECT_TRUE(contains(result.message, "kernel k at PTX line 15")) << result.message;
}

TEST(Checks, FreedMemoryIsNamed) {
  Kernels k = shared_kernel("  st.global.u32 [%rd3], %r1;");
  Memory<int> out(128, "cudaMalloc #8");
  out.release();
  const LaunchResult result = k.run("k", {1}, {128}, out);
  EXPECT_EQ(result.fault, Fault::kIllegalAddress);
  EXPECT_TRUE(contains(result.message, "cudaMalloc #8")) << result.message;
  EXPECT_TRUE(contains(result.message, "freed")) << result.message;
}

TEST(Checks, NullPointersAreNamed) {
  Kernels k = shared_kernel("  st.global.u32 [%rd3], %r1;");
  const LaunchResult result = k.run("k", {1}, {32}, std::uint64_t{0});
  EXPECT_EQ(result.fault, Fault::kIllegalAddress);
  EXPECT_TRUE(contains(result.message, "null pointer")) << result.message;
}

TEST(Checks, MisalignedVectorAccessIsAFault) {
  Kernels k = shared_kernel("  st.global.v2.u32 [%rd3], {%r1, %r1};");
  Memory<int> out(128);
  EXPECT_EQ(k.run("k", {1}, {32}, out).fault, Fault::kMisaligned);
}

TEST(Checks, WritesToConstantMemoryAreAFault) {
  Kernels k(R"(
.const .align 4 .b8 c[4];
.visible .entry k() {
  .reg .b64 %rd<3>;
  mov.u64 %rd1, c;
  cvta.const.u64 %rd1, %rd1;
  st.u32 [%rd1], 3;
  ret;
})");
  const LaunchResult result = k.run("k", {1}, {1});
  EXPECT_EQ(result.fault, Fault::kIllegalAddress);
  EXPECT_TRUE(contains(result.message, "constant memory")) << result.message;
}

TEST(Checks, UninitialisedGlobalMemoryIsReportedOnce) {
  Kernels k =
      shared_kernel("  ld.global.u32 %r5, [%rd3]; add.u32 %r5, %r5, 1; st.global.u32 [%rd3], %r5;");
  Memory<int> out(64, "cudaMalloc #9");
  const LaunchResult result = k.run("k", {1}, {64}, out);
  EXPECT_EQ(result.fault, Fault::kNone);
  EXPECT_TRUE(contains(result.reports, "uninitialised read")) << result.reports;
  EXPECT_TRUE(contains(result.reports, "cudaMalloc #9")) << result.reports;
  EXPECT_EQ(result.reports.find("never written"), result.reports.rfind("never written"));
}

TEST(Checks, CopiesOfPaddingAreLetPass) {
  // 16 bytes of which the upper 4 were never written, only stored again.
  Kernels k = shared_kernel(
      "  st.global.u64 [%rd1], 5; st.global.u32 [%rd1+8], 6; "
      "ld.global.v2.u64 {%rd4, %rd5}, [%rd1]; "
      "st.global.v2.u64 [%rd1+16], {%rd4, %rd5};");
  Memory<int> out(8);
  EXPECT_TRUE(clean(k.run("k", {1}, {1}, out)));
}

TEST(Checks, UninitialisedSharedAndLocalMemoryIsReported) {
  Kernels shared = shared_kernel(
      "  ld.shared.u32 %r5, [%r4]; add.u32 %r5, %r5, 1; "
      "st.global.u32 [%rd3], %r5;");
  Memory<int> out(64);
  EXPECT_TRUE(contains(shared.run("k", {1}, {32}, out).reports, "shared"));
  Kernels local(R"(
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<4>; .reg .b64 %rd<3>;
  .local .align 4 .b8 depot[8];
  ld.param.u64 %rd1, [out];
  ld.local.u32 %r1, [depot+4];
  add.u32 %r1, %r1, 1;
  st.global.u32 [%rd1], %r1;
  ret;
})");
  EXPECT_TRUE(contains(local.run("k", {1}, {1}, out).reports, "local memory"));
}

TEST(Checks, AMissingBarrierIsARace) {
  Kernels k = shared_kernel(
      "  st.shared.u32 [%r4], %r1; xor.b32 %r5, %r2, 256; "
      "add.u32 %r5, %r3, %r5; ld.shared.u32 %r6, [%r5]; "
      "st.global.u32 [%rd3], %r6;");
  Memory<int> out(128);
  const LaunchResult result = k.run("k", {1}, {128}, out);
  EXPECT_TRUE(contains(result.reports, "race")) << result.reports;
  EXPECT_TRUE(contains(result.reports, "shared")) << result.reports;
}

TEST(Checks, AMissingSecondBarrierInALoopIsARace) {
  const auto loop = [](const std::string& second) {
    return shared_kernel(
        "  mov.u32 %r7, 0;\nLOOP:\n st.shared.u32 [%r4], %r1; bar.sync 0;"
        " xor.b32 %r5, %r2, 256; add.u32 %r5, %r3, %r5;"
        " ld.shared.u32 %r6, [%r5]; st.global.u32 [%rd3], %r6; " +
        second + " add.u32 %r7, %r7, 1; setp.lt.u32 %p1, %r7, 3; @%p1 bra LOOP;");
  };
  Memory<int> out(128);
  EXPECT_TRUE(contains(loop("").run("k", {1}, {128}, out).reports, "race"));
  EXPECT_TRUE(clean(loop("bar.sync 0;").run("k", {1}, {128}, out)));
}

TEST(Checks, LanesOfAWarpNeedSyncwarp) {
  const auto exchange = [](const std::string& between) {
    return shared_kernel("  st.shared.u32 [%r4], %r1; " + between +
                         " xor.b32 %r5, %r2, 4; add.u32 %r5, %r3, %r5;"
                         " ld.shared.u32 %r6, [%r5]; st.global.u32 [%rd3], %r6;");
  };
  Memory<int> out(32);
  EXPECT_TRUE(contains(exchange("").run("k", {1}, {32}, out).reports, "race"));
  EXPECT_TRUE(clean(exchange("bar.warp.sync -1;").run("k", {1}, {32}, out)));
}

TEST(Checks, LanesThatStoreDifferentValuesToOneWordRace) {
  Kernels k = shared_kernel("  st.shared.u32 [s], %r1;");
  Memory<int> out(32);
  EXPECT_TRUE(contains(k.run("k", {1}, {32}, out).reports, "different values"));
}

TEST(Checks, ADivergentAlignedBarrierIsReported) {
  Kernels k = shared_kernel(R"(
  setp.lt.u32 %p1, %r1, 16;
  @%p1 bra LOW;
  bar.sync 0;
  bra END;
LOW:
  bar.sync 0;
END:
)");
  Memory<int> out(64);
  const LaunchResult result = k.run("k", {1}, {64}, out);
  EXPECT_TRUE(contains(result.reports, "divergent barrier")) << result.reports;
}

TEST(Checks, ReadingBeforeTheWaitForAnAsynchronousCopyIsReported) {
  const auto copy = [](const std::string& wait) {
    return shared_kernel("  cp.async.ca.shared.global [%r4], [%rd3], 4; cp.async.commit_group; " +
                         wait +
                         " ld.shared.u32 %r5, [%r4]; add.u32 %r5, %r5, 1;"
                         " st.global.u32 [%rd3], %r5;");
  };
  Memory<int> out(std::vector<int>(32, 41));
  EXPECT_TRUE(clean(copy("cp.async.wait_group 0;").run("k", {1}, {32}, out)));
  EXPECT_EQ(out[3], 42);
  EXPECT_TRUE(contains(copy("cp.async.wait_group 1;").run("k", {1}, {32}, out).reports,
                       "asynchronous copy"));
}

TEST(Checks, BankConflictsAndSectorsAreCounted) {
  Memory<int> out(std::vector<int>(32 * 32));
  const auto run = [&out](const std::string& code) {
    return shared_kernel(code).run("k", {1}, {32}, out).counters;
  };
  const KernelCounters free = run("  st.shared.u32 [%r4], %r1;");
  EXPECT_EQ(free.shared_requests, 1u);
  EXPECT_EQ(free.shared_wavefronts, 1u);
  const KernelCounters twice =
      run("  shl.b32 %r5, %r2, 1; add.u32 %r5, %r3, %r5; st.shared.u32 [%r5], %r1;");
  EXPECT_EQ(twice.shared_requests, 1u);
  EXPECT_EQ(twice.shared_wavefronts, 2u);
  const KernelCounters strided =
      run("  shl.b64 %rd4, %rd2, 5; add.s64 %rd4, %rd1, %rd4; st.global.u32 [%rd4], %r1;");
  EXPECT_EQ(strided.global_store_requests, 1u);
  EXPECT_EQ(strided.global_store_sectors, 32u);
  EXPECT_EQ(strided.global_store_bytes, 128u);
}

TEST(Checks, TouchedMemoryIsKnownInUnits) {
  Kernels k = shared_kernel("  ld.global.u32 %r5, [%rd3]; st.global.u32 [%rd3+4096], %r5;");
  Memory<int> out(std::vector<int>(2048));
  const LaunchResult result = k.run("k", {1}, {16}, out);
  ASSERT_TRUE(clean(result));
  const auto& pages = result.accesses.pages();
  const std::uint64_t first = out.address();
  const auto unit = [&pages](std::uint64_t address, bool written) {
    const auto found = pages.find(address / kAccessPage);
    if (found == pages.end()) return false;
    const std::uint64_t u = address % kAccessPage / kAccessUnit;
    const std::uint64_t* bits = written ? found->second.written : found->second.read;
    return (bits[u / 64] >> (u % 64) & 1) != 0;
  };
  EXPECT_TRUE(unit(first, false));
  EXPECT_TRUE(unit(first + 32, false));
  EXPECT_FALSE(unit(first + 64, false));
  EXPECT_FALSE(unit(first, true));
  EXPECT_TRUE(unit(first + 4096 + 32, true));
}

}  // namespace
}  // namespace gpusim::test
