// What decoding tells about a kernel without running it.
#include "execute_support.hpp"

namespace gpusim::test {
namespace {

TEST(Program, ALongChainOfValuesNeedsFewRegisters) {
  std::string chain = "  mov.u32 %r0, 1;\n";
  for (int i = 1; i < 1000; ++i) {
    chain += "  add.u32 %r" + std::to_string(i) + ", %r" + std::to_string(i - 1) + ", 1;\n";
  }
  Kernels k(".visible .entry k(.param .u64 out) {\n .reg .b32 %r<1000>; .reg .b64 %rd<2>;\n" +
            chain + "  ld.param.u64 %rd1, [out]; st.global.u32 [%rd1], %r999; ret;\n}");
  EXPECT_LT(kernel_properties(k.module(), k.entry("k")).registers, 20u);
  Memory<int> out(1);
  ASSERT_TRUE(clean(k.run("k", {1}, {1}, out)));
  EXPECT_EQ(out[0], 1000);
}

TEST(Program, ValuesOutliveALoopAndGuardedWritesKeepOtherLanes) {
  Kernels k(R"(
.visible .entry k(.param .u64 out) {
  .reg .pred %p<4>; .reg .b32 %r<40>; .reg .b64 %rd<4>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, 7;
  mov.u32 %r3, 100;
  mov.u32 %r4, 0;
  setp.lt.u32 %p2, %r1, 3;
LOOP:
  add.u32 %r5, %r4, 1;
  add.u32 %r6, %r5, 1;
  sub.u32 %r4, %r6, 1;
  @%p2 mov.u32 %r3, %r4;
  setp.lt.u32 %p1, %r4, 10;
  @%p1 bra LOOP;
  add.u32 %r7, %r3, %r2;
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd2, %rd1, %rd2;
  st.global.u32 [%rd2], %r7;
  ret;
})");
  Memory<int> out(8);
  ASSERT_TRUE(clean(k.run("k", {1}, {8}, out)));
  EXPECT_EQ(out[2], 17);
  EXPECT_EQ(out[3], 107);
}

TEST(Program, SharedMemoryOfCalledFunctionsCountsAndTheUnusedDoesNot) {
  Kernels k(R"(
.shared .align 4 .b8 used[100];
.shared .align 4 .b8 unused[5000];
.extern .shared .align 16 .b8 dynamic[];
.func f() { .reg .b32 %r<2>; st.shared.u32 [used], 1; ret; }
.visible .entry k() {
  .reg .b32 %r<2>;
  call.uni f;
  mov.u32 %r1, dynamic;
  st.shared.u32 [%r1], 1;
  ret;
}
)");
  const KernelProperties p = kernel_properties(k.module(), k.entry("k"));
  EXPECT_EQ(p.static_shared_bytes, 100u);
  LaunchRequest r = k.request("k", {1}, {1});
  r.dynamic_shared_bytes = 4;
  EXPECT_TRUE(clean(k.run_request(r)));
  r.dynamic_shared_bytes = 0;
  EXPECT_EQ(k.run_request(r).fault, Fault::kIllegalAddress);
}

TEST(Program, OccupancyIsLimitedByTheScarcestResource) {
  DeviceModel device;
  device.threads_per_multiprocessor = 2048;
  device.blocks_per_multiprocessor = 32;
  device.registers_per_multiprocessor = 65536;
  device.shared_per_multiprocessor = 228 * 1024;
  KernelProperties kernel;
  kernel.registers = 32;
  EXPECT_EQ(blocks_per_multiprocessor(kernel, device, 256, 0), 8);
  EXPECT_EQ(blocks_per_multiprocessor(kernel, device, 32, 0), 32);
  EXPECT_EQ(blocks_per_multiprocessor(kernel, device, 256, 100 * 1024), 2);
  kernel.registers = 128;
  EXPECT_EQ(blocks_per_multiprocessor(kernel, device, 256, 0), 2);
}

TEST(Program, ImmediatesTakeTheTypeOfTheInstruction) {
  Kernels k(R"(
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<4>; .reg .b64 %rd<4>;
  ld.param.u64 %rd1, [out];
  add.f32 %r1, 0f3F800000, 0f40000000;
  add.f64 %rd2, 0d3FF0000000000000, 0d4000000000000000;
  st.global.b32 [%rd1], %r1;
  st.global.b64 [%rd1+8], %rd2;
  st.global.u8 [%rd1+16], -1;
  ret;
})");
  Memory<double> out(std::vector<double>(3));
  ASSERT_TRUE(clean(k.run("k", {1}, {1}, out)));
  float f = 0;
  const double first = out[0];
  std::memcpy(&f, &first, 4);
  EXPECT_EQ(f, 3.0f);
  EXPECT_EQ(out[1], 3.0);
}

}  // namespace
}  // namespace gpusim::test
