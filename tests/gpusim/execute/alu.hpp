// What one instruction computes from registers alone, for the 32 lanes of a warp: arithmetic,
// logic, comparison, conversion, selection, carries, half precision, and the matrix products of
// tensor cores. No memory, no control flow, no other warp.
//
// A register row holds one register of all lanes: std::uint32_t[32] for registers of up to 32 bits
// (b8 and b16 in the low bits, upper bits undefined), std::uint64_t[32] for b64. A predicate is one
// std::uint32_t, a bit per lane. Rows are 64-byte aligned. An immediate operand is a row too,
// filled once when the kernel is decoded.
#pragma once

#include <cstdint>
#include <string>

#include "ptx/module.hpp"

namespace gpusim {

constexpr int kLanes = 32;

struct AluOperands {
  void* d = nullptr;        ///< row, or predicate word (setp, and.pred)
  void* d2 = nullptr;       ///< predicate word of the second destination p|q, or null
  const void* a = nullptr;  ///< rows, or predicate words where the instruction reads one
  const void* b = nullptr;
  const void* c = nullptr;  ///< selp, slct, setp with a boolean: the predicate word/row
  const void* e = nullptr;  ///< fourth source (bfi, shf, prmt mode needs none, lop3's fourth)
  std::uint32_t* carry = nullptr;  ///< CC.CF of the warp, a bit per lane
  std::uint32_t immediate = 0;     ///< lop3's table, and other constants the decoder passes
  bool negate_c = false;           ///< the predicate operand c is written !%p
  bool negate_a = false;           ///< predicate operand a is written !%p
  bool negate_b = false;
};

/// Computes the lanes of `mask`; other lanes of the destination keep their values. May store whole
/// vectors after blending. Source and destination rows may be the same.
using AluFunction = void (*)(const AluOperands& operands, std::uint32_t mask);

struct AluEntry {
  AluFunction function = nullptr;  ///< null: this is no ALU instruction or not supported
  /// Bits of each operand's row: 1 (predicate word), 32 or 64; 0 where the operand is absent.
  int d_bits = 0, d2_bits = 0, a_bits = 0, b_bits = 0, c_bits = 0, e_bits = 0;
  bool writes_carry = false, reads_carry = false;
  /// How an immediate is brought to a row: a decimal float literal of an f32/f16 instruction is
  /// converted to that type's bits.
  bool float_sources = false;
};

/// Finds the function of an instruction by its opcode and modifiers, as a set in any order. The
/// operands tell forms apart where needed (setp with two destinations, with a boolean operand;
/// mul.wide). `why` says what is unknown, where the result has no function.
///
/// cvt may have registers wider than its types (`cvt.s64.s8 %rd1, %rd2` reads the low byte of a
/// 64-bit register): give the bits of the registers of d and a, so that rows are read as they lie.
/// With 0 the types decide. Where widths are given and do not fit, there is no function.
AluEntry find_alu(const ptx::Instruction& instruction, std::string& why, int d_register_bits = 0,
                  int a_register_bits = 0);

/// Tensor-core products and matrix loads. Fragments are arrays of register rows, in the order of
/// the instruction's vector operands. All 32 lanes take part.
struct MmaOperands {
  void* const* d = nullptr;
  const void* const* a = nullptr;
  const void* const* b = nullptr;
  const void* const* c = nullptr;
};
using MmaFunction = void (*)(const MmaOperands& operands);
struct MmaEntry {
  MmaFunction function = nullptr;
  int d_rows = 0, a_rows = 0, b_rows = 0, c_rows = 0;  ///< registers of each fragment
  int row_bits = 32;                                   ///< 64 for f64 shapes
  double flops = 0;                                    ///< multiplications and additions
};
/// mma.sync and wmma.mma of every shape and type that this simulator knows. Sums run over k in
/// ascending order in f32 (f64, s32 where the type says so).
MmaEntry find_mma(const ptx::Instruction& instruction, std::string& why);

/// Fragment layout of wmma: for wmma.load and wmma.store, which matrix element each register of
/// each lane holds (layouts are those of the mma.m16n8k16 pairs, private to the simulator).
struct WmmaLayout {
  int rows = 0, columns = 0;      ///< of the matrix
  int registers = 0;              ///< per lane
  int elements_per_register = 1;  ///< 2 for f16 and bf16
  int element_bytes = 4;
  /// Row and column of element `element` of register `reg` of lane `lane`.
  void (*place)(int lane, int reg, int element, int& row, int& column) = nullptr;
};
bool find_wmma_layout(const ptx::Instruction& instruction, WmmaLayout& layout, std::string& why);

/// The name of the vector code in use ("AVX-512", "AVX2", "baseline"), chosen at run time.
const char* alu_target();

}  // namespace gpusim
