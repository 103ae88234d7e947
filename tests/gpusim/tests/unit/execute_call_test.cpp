// Functions: arguments, results, recursion, function pointers, printf.
#include "execute_support.hpp"

namespace gpusim::test {
namespace {

TEST(Execute, RecursionKeepsAFramePerCallAndLane) {
  Kernels k(R"(
.func (.param .b32 result) fib(.param .b32 n) {
  .reg .pred %p<2>; .reg .b32 %r<8>;
  ld.param.u32 %r1, [n];
  setp.lt.s32 %p1, %r1, 2;
  mov.u32 %r5, %r1;
  @%p1 bra DONE;
  sub.s32 %r2, %r1, 1;
  { .param .b32 param0; st.param.b32 [param0+0], %r2;
    .param .b32 retval0;
    call.uni (retval0), fib, (param0);
    ld.param.b32 %r3, [retval0+0]; }
  sub.s32 %r2, %r1, 2;
  { .param .b32 param0; st.param.b32 [param0+0], %r2;
    .param .b32 retval0;
    call.uni (retval0), fib, (param0);
    ld.param.b32 %r4, [retval0+0]; }
  add.s32 %r5, %r3, %r4;
DONE:
  st.param.b32 [result+0], %r5;
  ret;
}
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<5>; .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  and.b32 %r2, %r1, 7;
  { .param .b32 param0; st.param.b32 [param0+0], %r2;
    .param .b32 retval0;
    call.uni (retval0), fib, (param0);
    ld.param.b32 %r3, [retval0+0]; }
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd2, %rd1, %rd2;
  st.global.u32 [%rd2], %r3;
  ret;
})");
  const int fib[8] = {0, 1, 1, 2, 3, 5, 8, 13};
  Memory<int> out(32);
  ASSERT_TRUE(clean(k.run("k", {1}, {32}, out)));
  for (int i = 0; i < 32; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], fib[i % 8]);
}

TEST(Execute, EndlessRecursionIsAStackOverflow) {
  Kernels k(R"(
.func f() { call.uni f; ret; }
.visible .entry k() { call.uni f; ret; }
)");
  const LaunchResult result = k.run("k", {1}, {1});
  EXPECT_EQ(result.fault, Fault::kStackOverflow);
}

TEST(Execute, CallsThroughATableOfFunctionsSplitTheWarp) {
  Kernels k(R"(
.func (.param .b32 r) twice(.param .b32 x) {
  .reg .b32 %r<3>; ld.param.u32 %r1, [x]; shl.b32 %r2, %r1, 1; st.param.b32 [r], %r2; ret;
}
.func (.param .b32 r) square(.param .b32 x) {
  .reg .b32 %r<3>; ld.param.u32 %r1, [x]; mul.lo.s32 %r2, %r1, %r1; st.param.b32 [r], %r2; ret;
}
.const .align 8 .u64 table[2] = {twice, square};
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<6>; .reg .b64 %rd<8>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  and.b32 %r2, %r1, 1;
  mul.wide.u32 %rd2, %r2, 8;
  mov.u64 %rd3, table;
  add.s64 %rd3, %rd3, %rd2;
  ld.const.u64 %rd4, [%rd3];
  { .param .b32 param0; st.param.b32 [param0+0], %r1;
    .param .b32 retval0;
    prototype_0 : .callprototype (.param .b32 _) _ (.param .b32 _);
    call (retval0), %rd4, (param0), prototype_0;
    ld.param.b32 %r3, [retval0+0]; }
  activemask.b32 %r4;
  mul.wide.u32 %rd5, %r1, 8;
  add.s64 %rd5, %rd1, %rd5;
  st.global.v2.u32 [%rd5], {%r3, %r4};
  ret;
})");
  Memory<std::uint32_t> out(64);
  ASSERT_TRUE(clean(k.run("k", {1}, {32}, out)));
  for (std::uint32_t i = 0; i < 32; ++i) {
    EXPECT_EQ(out[i * 2], i % 2 == 0 ? 2 * i : i * i);
    EXPECT_EQ(out[i * 2 + 1], 0xffffffffu) << "the lanes meet again behind the call";
  }
}

TEST(Execute, StructuresPassByValueAndLocalArraysHaveGenericAddresses) {
  Kernels k(R"(
.func (.param .b64 r) sum(.param .align 8 .b8 s[24]) {
  .reg .b64 %rd<6>; .reg .b32 %r<4>; .reg .b16 %rs<3>;
  ld.param.u64 %rd1, [s]; ld.param.u32 %r1, [s+8]; ld.param.u16 %rs1, [s+12];
  ld.param.s8 %r2, [s+14]; ld.param.u64 %rd2, [s+16];
  cvt.u64.u32 %rd3, %r1; cvt.u32.u16 %r3, %rs1; cvt.u64.u32 %rd4, %r3;
  cvt.s64.s32 %rd5, %r2;
  add.s64 %rd1, %rd1, %rd2; add.s64 %rd1, %rd1, %rd3; add.s64 %rd1, %rd1, %rd4;
  add.s64 %rd1, %rd1, %rd5;
  st.param.b64 [r], %rd1; ret;
}
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<6>; .reg .b64 %rd<9>; .reg .b64 %SP; .reg .b64 %SPL;
  .local .align 8 .b8 depot[32];
  mov.u64 %SPL, depot; cvta.local.u64 %SP, %SPL;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  cvt.u64.u32 %rd2, %r1;
  mul.lo.s64 %rd3, %rd2, 8; and.b64 %rd3, %rd3, 24;
  add.s64 %rd4, %SP, %rd3;
  st.u64 [%rd4], %rd2;
  add.s64 %rd5, %SPL, %rd3;
  ld.local.u64 %rd6, [%rd5];
  { .param .align 8 .b8 param0[24];
    st.param.b64 [param0+0], %rd6; st.param.b32 [param0+8], 1000;
    st.param.b16 [param0+12], 200; st.param.b8 [param0+14], 255; st.param.b64 [param0+16], %rd2;
    .param .b64 retval0;
    call.uni (retval0), sum, (param0);
    ld.param.b64 %rd7, [retval0+0]; }
  mad.lo.s64 %rd8, %rd2, 8, %rd1;
  st.global.u64 [%rd8], %rd7;
  ret;
})");
  Memory<std::int64_t> out(32);
  ASSERT_TRUE(clean(k.run("k", {1}, {32}, out)));
  for (std::int64_t i = 0; i < 32; ++i) {
    EXPECT_EQ(out[static_cast<std::size_t>(i)], 2 * i + 1000 + 200 - 1);
  }
}

TEST(Execute, PrintfIsFormattedFromMemoryOfTheDevice) {
  Kernels k(R"(
.extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);
.global .align 1 .b8 format[21] = {37, 100, 32, 37, 53, 46, 50, 102, 32, 37, 115,
  32, 37, 108, 108, 117, 32, 37, 37, 10, 0};
.global .align 1 .b8 word[4] = {97, 98, 99, 0};
.visible .entry k() {
  .reg .b32 %r<6>; .reg .b64 %rd<9>; .reg .b64 %SP; .reg .b64 %SPL;
  .local .align 8 .b8 depot[32];
  mov.u64 %SPL, depot; cvta.local.u64 %SP, %SPL;
  mov.u32 %r1, %tid.x;
  st.local.u32 [%SPL], %r1;
  mov.u64 %rd1, 0d400921FB54442D18; st.local.b64 [%SPL+8], %rd1;
  mov.u64 %rd2, word; cvta.global.u64 %rd2, %rd2; st.local.u64 [%SPL+16], %rd2;
  mov.u64 %rd3, 12345678901; st.local.u64 [%SPL+24], %rd3;
  mov.u64 %rd4, format; cvta.global.u64 %rd4, %rd4;
  { .param .b64 param0; st.param.b64 [param0], %rd4;
    .param .b64 param1; st.param.b64 [param1], %SP;
    .param .b32 retval0;
    call.uni (retval0), vprintf, (param0, param1); }
  ret;
})");
  ASSERT_TRUE(clean(k.run("k", {1}, {2})));
  testing::internal::CaptureStdout();
  flush_device_output(0);
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "0  3.14 abc 12345678901 %\n1  3.14 abc 12345678901 %\n");
}

TEST(Execute, AnUnknownInstructionIsNamedAtLaunch) {
  Kernels k(R"(
.visible .entry k() {
  .reg .b32 %r<3>;
  frobnicate.b32 %r1, %r2;
  ret;
})");
  const LaunchResult result = k.run("k", {1}, {1});
  EXPECT_EQ(result.fault, Fault::kIllegalInstruction);
  EXPECT_NE(result.message.find("frobnicate.b32 %r1, %r2"), std::string::npos) << result.message;
  EXPECT_NE(result.message.find("line 7"), std::string::npos) << result.message;
}

}  // namespace
}  // namespace gpusim::test
