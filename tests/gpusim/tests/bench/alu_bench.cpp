// Nanoseconds per warp instruction of the arithmetic functions, called as the interpreter calls
// them (through a pointer, over rows in the first-level cache). Not run by ctest.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <sstream>
#include <string>

#include "execute/alu.hpp"

namespace {

using gpusim::kLanes;

gpusim::ptx::Instruction instruction(const std::string& text, int operands) {
  gpusim::ptx::Instruction result;
  std::istringstream parts(text);
  std::getline(parts, result.opcode, '.');
  for (std::string part; std::getline(parts, part, '.');) result.modifiers.push_back(part);
  result.operands.resize(static_cast<std::size_t>(operands));
  return result;
}

/// Best of several rounds of `calls` calls.
template <class F>
double nanoseconds(F call) {
  constexpr int kRounds = 7, kCalls = 200000;
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) call(i);
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - begin;
    best = std::min(best, time.count() / kCalls);
  }
  return best;
}

struct Rows {
  alignas(64) std::uint64_t words[24][kLanes];
};

void fill(Rows& rows) {
  for (auto& row : rows.words) {
    for (int i = 0; i < kLanes; ++i) row[i] = 0x3f9040003f803f00ull + static_cast<unsigned>(i);
  }
}

void measure(const std::string& text, int operands) {
  std::string why;
  const gpusim::AluEntry entry = gpusim::find_alu(instruction(text, operands), why);
  if (entry.function == nullptr) {
    std::printf("%-26s %s\n", text.c_str(), why.c_str());
    return;
  }
  static Rows rows;
  fill(rows);
  std::uint32_t carry = 0;
  const auto operands_of = [&](int i) {
    gpusim::AluOperands o;
    o.d = rows.words[8 + (i & 7)];
    o.a = rows.words[0];
    o.b = rows.words[1];
    o.c = rows.words[2];
    o.e = rows.words[3];
    o.carry = &carry;
    o.immediate = 0x96;
    return o;
  };
  const double full = nanoseconds([&](int i) { entry.function(operands_of(i), 0xffffffffu); });
  const double half = nanoseconds([&](int i) { entry.function(operands_of(i), 0x0000ffffu); });
  std::printf("%-26s %7.2f ns   %7.2f ns with 16 lanes\n", text.c_str(), full, half);
}

void measure_product(const std::string& text) {
  std::string why;
  const gpusim::MmaEntry entry = gpusim::find_mma(instruction(text, 4), why);
  if (entry.function == nullptr) {
    std::printf("%s: %s\n", text.c_str(), why.c_str());
    return;
  }
  static Rows rows;
  fill(rows);
  void* d[8];
  const void *a[8], *b[8], *c[8];
  for (int i = 0; i < 8; ++i) {
    d[i] = rows.words[16 + i % 8];
    c[i] = d[i];
    a[i] = rows.words[i];
    b[i] = rows.words[8 + i];
  }
  const gpusim::MmaOperands operands{d, a, b, c};
  const double time = nanoseconds([&](int) { entry.function(operands); });
  std::printf("%-50s %7.1f ns   %6.1f GFLOP/s\n", text.c_str(), time, entry.flops / time);
}

}  // namespace

int main() {
  std::printf("vector code: %s\n", gpusim::alu_target());
  measure("add.f32", 3);
  measure("add.rz.f32", 3);
  measure("fma.rn.f32", 4);
  measure("fma.rn.ftz.f32", 4);
  measure("fma.rn.f64", 4);
  measure("add.s32", 3);
  measure("add.s64", 3);
  measure("mad.lo.s32", 4);
  measure("mad.wide.s32", 4);
  measure("div.s32", 3);
  measure("div.rn.f32", 3);
  measure("ex2.approx.ftz.f32", 2);
  measure("lg2.approx.f32", 2);
  measure("sin.approx.f32", 2);
  measure("tanh.approx.f32", 2);
  measure("lop3.b32", 4);
  measure("shf.l.wrap.b32", 4);
  measure("bfe.u32", 4);
  measure("setp.lt.f32", 3);
  measure("setp.lt.s32", 3);
  measure("setp.lt.s64", 3);
  measure("setp.lt.and.s32", 4);
  measure("selp.b32", 4);
  measure("cvt.rn.f16.f32", 2);
  measure("cvt.f32.f16", 2);
  measure("cvt.rn.bf16x2.f32", 3);
  measure("cvt.rzi.s32.f32", 2);
  measure("cvt.s64.s32", 2);
  measure("fma.rn.f16x2", 4);
  measure("fma.rn.bf16x2", 4);
  measure_product("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32");
  measure_product("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32");
  measure_product("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16");
  measure_product("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32");
  measure_product("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32");
  measure_product("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64");
  measure_product("wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32");
  return 0;
}
