// Speed of the interpreter: nanoseconds per warp instruction of inner loops on one worker, and the
// cost of a launch. Prints a table; asserts nothing.
//
//   GPUSIM_WORKERS=1 execute_bench        with all checks; GPUSIM_CHECKS=none without
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>

#include "execute/engine.hpp"
#include "ptx/parse.hpp"

namespace {

using gpusim::AddressSpace;
using gpusim::Allocation;

const char* const kText = R"(
.version 9.0
.target sm_90
.address_size 64
.visible .entry fma(.param .u64 data, .param .u32 count) {
  .reg .pred %p<2>; .reg .b32 %r<8>; .reg .f32 %f<20>; .reg .b64 %rd<8>;
  ld.param.u64 %rd1, [data]; ld.param.u32 %r1, [count];
  mov.f32 %f1, 0f3F800000; mov.f32 %f2, 0f3F800001;
  mov.f32 %f3, 0f3F000000; mov.f32 %f4, 0f3F000000;
  mov.f32 %f5, 0f3F000000; mov.f32 %f6, 0f3F000000;
LOOP:
  fma.rn.f32 %f3, %f1, %f2, %f3; fma.rn.f32 %f4, %f1, %f2, %f4;
  fma.rn.f32 %f5, %f1, %f2, %f5; fma.rn.f32 %f6, %f1, %f2, %f6;
  fma.rn.f32 %f3, %f1, %f2, %f3; fma.rn.f32 %f4, %f1, %f2, %f4;
  fma.rn.f32 %f5, %f1, %f2, %f5; fma.rn.f32 %f6, %f1, %f2, %f6;
  fma.rn.f32 %f3, %f1, %f2, %f3; fma.rn.f32 %f4, %f1, %f2, %f4;
  fma.rn.f32 %f5, %f1, %f2, %f5; fma.rn.f32 %f6, %f1, %f2, %f6;
  fma.rn.f32 %f3, %f1, %f2, %f3; fma.rn.f32 %f4, %f1, %f2, %f4;
  fma.rn.f32 %f5, %f1, %f2, %f5; fma.rn.f32 %f6, %f1, %f2, %f6;
  add.s32 %r1, %r1, -1;
  setp.ne.s32 %p1, %r1, 0;
  @%p1 bra LOOP;
  add.f32 %f3, %f3, %f4; add.f32 %f3, %f3, %f5; add.f32 %f3, %f3, %f6;
  st.global.f32 [%rd1], %f3;
  ret;
}
.visible .entry stream(.param .u64 data, .param .u32 count) {
  .reg .pred %p<2>; .reg .b32 %r<8>; .reg .f32 %f<20>; .reg .b64 %rd<8>;
  ld.param.u64 %rd1, [data]; ld.param.u32 %r1, [count];
  mov.u32 %r2, %tid.x; mul.wide.u32 %rd2, %r2, 4; add.s64 %rd3, %rd1, %rd2;
  mov.f32 %f1, 0f3F800000;
LOOP:
  ld.global.f32 %f2, [%rd3];
  fma.rn.f32 %f3, %f1, %f2, %f3;
  ld.global.f32 %f2, [%rd3+1024];
  fma.rn.f32 %f3, %f1, %f2, %f3;
  add.s64 %rd4, %rd3, 128;
  add.s32 %r1, %r1, -1;
  setp.ne.s32 %p1, %r1, 0;
  @%p1 bra LOOP;
  st.global.f32 [%rd3], %f3;
  ret;
}
.visible .entry scattered(.param .u64 data, .param .u32 count) {
  .reg .pred %p<2>; .reg .b32 %r<8>; .reg .f32 %f<20>; .reg .b64 %rd<8>;
  ld.param.u64 %rd1, [data]; ld.param.u32 %r1, [count];
  mov.u32 %r2, %tid.x; mul.wide.u32 %rd2, %r2, 64; add.s64 %rd3, %rd1, %rd2;
  mov.f32 %f1, 0f3F800000;
LOOP:
  ld.global.f32 %f2, [%rd3];
  fma.rn.f32 %f3, %f1, %f2, %f3;
  ld.global.f32 %f2, [%rd3+4];
  fma.rn.f32 %f3, %f1, %f2, %f3;
  add.s64 %rd4, %rd3, 128;
  add.s32 %r1, %r1, -1;
  setp.ne.s32 %p1, %r1, 0;
  @%p1 bra LOOP;
  st.global.f32 [%rd3], %f3;
  ret;
}
.visible .entry shared(.param .u64 data, .param .u32 count) {
  .reg .pred %p<2>; .reg .b32 %r<8>; .reg .f32 %f<20>; .reg .b64 %rd<8>;
  .shared .align 4 .b8 s[4096];
  ld.param.u64 %rd1, [data]; ld.param.u32 %r1, [count];
  mov.u32 %r2, %tid.x; shl.b32 %r3, %r2, 2; mov.u32 %r4, s; add.u32 %r3, %r3, %r4;
  mov.f32 %f1, 0f3F800000; st.shared.f32 [%r3], %f1; bar.sync 0;
LOOP:
  ld.shared.f32 %f2, [%r3];
  fma.rn.f32 %f3, %f1, %f2, %f3;
  ld.shared.f32 %f4, [%r4];
  fma.rn.f32 %f3, %f1, %f4, %f3;
  shfl.sync.bfly.b32 %f5, %f3, 1, 31, -1;
  add.s32 %r1, %r1, -1;
  setp.ne.s32 %p1, %r1, 0;
  @%p1 bra LOOP;
  st.global.f32 [%rd1], %f3;
  ret;
}
.visible .entry divergent(.param .u64 data, .param .u32 count) {
  .reg .pred %p<3>; .reg .b32 %r<8>; .reg .f32 %f<20>; .reg .b64 %rd<8>;
  ld.param.u64 %rd1, [data]; ld.param.u32 %r1, [count];
  mov.u32 %r2, %tid.x; and.b32 %r3, %r2, 1; setp.eq.u32 %p2, %r3, 0;
LOOP:
  @%p2 bra EVEN;
  add.s32 %r4, %r4, 1; add.s32 %r4, %r4, 1; add.s32 %r4, %r4, 1;
  bra JOIN;
EVEN:
  add.s32 %r4, %r4, 2; add.s32 %r4, %r4, 2; add.s32 %r4, %r4, 2;
JOIN:
  add.s32 %r1, %r1, -1;
  setp.ne.s32 %p1, %r1, 0;
  @%p1 bra LOOP;
  st.global.u32 [%rd1], %r4;
  ret;
}
.visible .entry nothing(.param .u64 data, .param .u32 count) { ret; }
)";

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

int main() {
  gpusim::ModuleInstance instance;
  std::vector<std::unique_ptr<gpusim::ptx::Module>> units;
  units.push_back(gpusim::ptx::parse(kText, "bench"));
  instance.module = std::shared_ptr<const gpusim::ptx::Module>(gpusim::ptx::link(std::move(units)));
  instance.addresses.assign(instance.module->variables.size(), 0);
  constexpr std::uint64_t kBytes = 1 << 20;
  Allocation* data =
      AddressSpace::instance().allocate(kBytes, gpusim::MemoryKind::kDevice, 0, "data");
  std::memset(data->host, 0, kBytes);
  data->mark_initialised(data->begin, kBytes);
  const auto launch = [&](const char* name, std::uint32_t threads, std::uint32_t count,
                          std::uint32_t blocks = 1) {
    gpusim::LaunchRequest request;
    request.module = &instance;
    request.function = instance.module->function_by_name.at(name);
    request.block.x = threads;
    request.grid.x = blocks;
    request.parameters.resize(16);
    std::memcpy(request.parameters.data(), &data->begin, 8);
    std::memcpy(request.parameters.data() + 8, &count, 4);
    return run_kernel(request);
  };
  std::printf("%-12s %16s %22s\n", "loop", "ns/warp instr", "G lane instr/s");
  for (const char* name : {"fma", "stream", "scattered", "shared", "divergent"}) {
    launch(name, 32, 10);
    const double start = seconds();
    const gpusim::LaunchOutcome outcome = launch(name, 32, 1'000'000);
    const double time = seconds() - start;
    if (outcome.fault != gpusim::Fault::kNone) std::printf("%s\n", outcome.message.c_str());
    const auto instructions = static_cast<double>(outcome.counters.warp_instructions);
    std::printf("%-12s %16.2f %22.2f\n", name, time / instructions * 1e9,
                static_cast<double>(outcome.counters.lane_instructions) / time * 1e-9);
  }
  constexpr std::uint32_t kBlocks = 100'000;
  const double grid_start = seconds();
  launch("nothing", 256, 1, kBlocks);
  std::printf("empty block of 256 threads in a large grid: %.2f us\n",
              (seconds() - grid_start) / kBlocks * 1e6);
  constexpr int kLaunches = 20'000;
  const double start = seconds();
  for (int i = 0; i < kLaunches; ++i) launch("nothing", 256, 1);
  std::printf("launch of an empty block of 256 threads: %.2f us\n",
              (seconds() - start) / kLaunches * 1e6);
}
