// Atomic operations and exchanges between lanes.
#include <bit>

#include "execute_support.hpp"

namespace gpusim::test {
namespace {

struct AtomicCase {
  const char* instruction;
  std::uint64_t start;
  std::uint64_t expected;  ///< after 64 threads with operand tid + 1
  int bytes;
};

class Atomics : public testing::TestWithParam<AtomicCase> {};

TEST_P(Atomics, FoldTheOperandsOfAllThreads) {
  const AtomicCase& c = GetParam();
  const std::string value = c.bytes == 8 ? "%rd3" : "%r2";
  Kernels k(R"(
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<8>; .reg .b64 %rd<6>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  add.u32 %r2, %r1, 1;
  cvt.u64.u32 %rd3, %r2;
  )" + std::string(c.instruction) +
            " [%rd1], " + value + ";\n  ret;\n}");
  Memory<std::uint64_t> out(std::vector<std::uint64_t>{c.start});
  const LaunchResult result = k.run("k", {1}, {64}, out);
  ASSERT_TRUE(clean(result));
  const std::uint64_t mask = c.bytes == 8 ? ~0ULL : 0xffffffffULL;
  EXPECT_EQ(out[0] & mask, c.expected & mask);
  EXPECT_EQ(result.counters.atomics, 64u);
}

INSTANTIATE_TEST_SUITE_P(
    Execute, Atomics,
    testing::Values(AtomicCase{"red.global.add.u32", 5, 5 + 2080, 4},
                    AtomicCase{"red.add.u64", 1ULL << 40, (1ULL << 40) + 2080, 8},
                    AtomicCase{"red.global.max.s32", 0xffffffffULL, 64, 4},
                    AtomicCase{"red.global.max.u32", 0xffffffffULL, 0xffffffffULL, 4},
                    AtomicCase{"red.global.min.s32", 0xfffffffeULL, 0xfffffffeULL, 4},
                    AtomicCase{"red.global.min.u64", 1000, 1, 8},
                    AtomicCase{"red.global.and.b32", 0xff00ULL, 0, 4},
                    AtomicCase{"red.global.or.b32", 0, 127, 4},
                    AtomicCase{"red.global.xor.b32", 0, 64, 4},
                    AtomicCase{"red.global.inc.u32", 0, 64, 4},
                    AtomicCase{"red.relaxed.gpu.global.add.u32", 0, 2080, 4}));

TEST(Execute, FloatingPointAndHalfAtomicsAddInTheirType) {
  Kernels k(R"(
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<8>; .reg .f32 %f<4>; .reg .f64 %fd<3>; .reg .b64 %rd<6>; .reg .f32 %g<3>;
  ld.param.u64 %rd1, [out];
  mov.f32 %f1, 0f3F000000;
  red.global.add.f32 [%rd1], %f1;
  cvt.f64.f32 %fd1, %f1;
  red.global.add.f64 [%rd1+8], %fd1;
  mov.b32 %r1, 0x40003c00;
  red.global.add.noftz.f16x2 [%rd1+16], %r1;
  mov.b32 %r2, 0x40003f80;
  red.global.add.noftz.bf16x2 [%rd1+20], %r2;
  red.global.v2.f32.add [%rd1+24], {%f1, %f1};
  ret;
})");
  Memory<std::uint32_t> out(std::vector<std::uint32_t>(8));
  ASSERT_TRUE(clean(k.run("k", {2}, {32}, out)));
  EXPECT_EQ(std::bit_cast<float>(out[0]), 32.0f);
  EXPECT_EQ(std::bit_cast<double>(std::uint64_t{out[3]} << 32 | out[2]), 32.0);
  EXPECT_EQ(out[4], 0x58005400u);  // 128 and 64
  EXPECT_EQ(out[5], 0x43004280u);  // bf16: 64 * 2.0 and 64 * 1.0
  EXPECT_EQ(std::bit_cast<float>(out[6]), 32.0f);
  EXPECT_EQ(std::bit_cast<float>(out[7]), 32.0f);
}

TEST(Execute, SharedAtomicsAndCompareAndSwapReturnTheOldValue) {
  Kernels k(R"(
.visible .entry k(.param .u64 out) {
  .reg .pred %p<2>; .reg .b32 %r<8>; .reg .b64 %rd<6>;
  .shared .align 4 .b8 s[4];
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra GO;
  st.shared.u32 [s], 100;
GO:
  bar.sync 0;
  atom.shared.cas.b32 %r2, [s], 100, 7;
  atom.shared.exch.b32 %r3, [s], 9;
  mul.wide.u32 %rd2, %r1, 8;
  add.s64 %rd2, %rd1, %rd2;
  st.global.v2.u32 [%rd2], {%r2, %r3};
  ret;
})");
  Memory<std::uint32_t> out(64);
  ASSERT_TRUE(clean(k.run("k", {1}, {32}, out)));
  EXPECT_EQ(out[0], 100u);
  EXPECT_EQ(out[2], 7u);
  EXPECT_EQ(out[1], 7u);
  EXPECT_EQ(out[3], 9u);
}

/// Runs one warp operation on lane numbers and gives the result of every lane.
std::vector<std::uint32_t> warp_result(const std::string& code, std::uint32_t threads = 32) {
  Kernels k(R"(
.visible .entry k(.param .u64 out) {
  .reg .pred %p<6>; .reg .b32 %r<16>; .reg .b64 %rd<6>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
)" + code + R"(
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd2, %rd1, %rd2;
  st.global.u32 [%rd2], %r9;
  ret;
})");
  Memory<std::uint32_t> out(32);
  EXPECT_TRUE(clean(k.run("k", {1}, {threads}, out)));
  return out.values();
}

TEST(Execute, ShufflesHonourSegmentsAndClamps) {
  auto up = warp_result("shfl.sync.up.b32 %r9, %r1, 3, 0, -1;");
  EXPECT_EQ(up[2], 2u);
  EXPECT_EQ(up[3], 0u);
  EXPECT_EQ(up[31], 28u);
  // Segments of 8 lanes: the operand is (32 - 8) << 8 | 7 for down.
  auto down =
      warp_result("shfl.sync.down.b32 %r9|%p1, %r1, 2, 0x1807, -1; selp.u32 %r9, %r9, 99, %p1;");
  EXPECT_EQ(down[5], 7u);
  EXPECT_EQ(down[6], 99u);
  EXPECT_EQ(down[8], 10u);
  auto butterfly = warp_result("shfl.sync.bfly.b32 %r9, %r1, 16, 31, -1;");
  EXPECT_EQ(butterfly[3], 19u);
  auto index = warp_result("shfl.sync.idx.b32 %r9, %r1, 5, 0x181f, -1;");
  EXPECT_EQ(index[20], 21u);
}

TEST(Execute, VotesMatchesAndReductions) {
  EXPECT_EQ(warp_result("setp.lt.u32 %p1, %r1, 5; vote.sync.ballot.b32 %r9, %p1, -1;")[7], 31u);
  EXPECT_EQ(warp_result("setp.lt.u32 %p1, %r1, 5; vote.sync.any.pred %p2, %p1, -1; "
                        "selp.u32 %r9, 1, 0, %p2;")[31],
            1u);
  EXPECT_EQ(warp_result("setp.lt.u32 %p1, %r1, 5; vote.sync.all.pred %p2, !%p1, -1; "
                        "selp.u32 %r9, 1, 0, %p2;")[31],
            0u);
  EXPECT_EQ(warp_result("and.b32 %r2, %r1, 3; match.any.sync.b32 %r9, %r2, -1;")[1], 0x22222222u);
  EXPECT_EQ(warp_result("match.all.sync.b32 %r9|%p1, %r1, -1;")[1], 0u);
  EXPECT_EQ(warp_result("redux.sync.add.u32 %r9, %r1, -1;")[0], 496u);
  EXPECT_EQ(warp_result("sub.s32 %r2, %r1, 9; redux.sync.min.s32 %r9, %r2, -1;")[0],
            static_cast<std::uint32_t>(-9));
  EXPECT_EQ(warp_result("elect.sync %r2|%p1, -1; selp.u32 %r9, %r2, 77, %p1;")[0], 0u);
  EXPECT_EQ(warp_result("elect.sync %r2|%p1, -1; selp.u32 %r9, %r2, 77, %p1;")[1], 77u);
}

TEST(Execute, TilesOfAWarpExchangeUnderTheirOwnMasks) {
  // Every lane names its quarter of the warp.
  auto r = warp_result(
      "shr.u32 %r2, %r1, 3; shl.b32 %r2, %r2, 3; mov.u32 %r3, 255; "
      "shl.b32 %r4, %r3, %r2; redux.sync.add.u32 %r9, %r1, %r4;");
  EXPECT_EQ(r[0], 28u);
  EXPECT_EQ(r[8], 92u);
  EXPECT_EQ(r[31], 220u);
}

TEST(Execute, AWarpThatIsNotFullVotesWithTheLanesItHas) {
  auto r = warp_result("setp.ge.u32 %p1, %r1, 0; vote.sync.ballot.b32 %r9, %p1, -1;", 20);
  EXPECT_EQ(r[0], 0xfffffu);
}

}  // namespace
}  // namespace gpusim::test
