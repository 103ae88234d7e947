// One arithmetic instruction, its text taken apart: what the lookups of all instruction sets switch
// over. Made by parse_form (../alu_form.cpp) from opcode and modifiers in any order. Plain data, so
// that vector code may include it (such code shares no inline function with other files).
#pragma once

#include <cstdint>

#include "execute/alu.hpp"

namespace gpusim {

enum class Op : std::uint8_t {
  kNone,
  kAdd,
  kSub,
  kMul,
  kMad,
  kMul24,
  kMad24,
  kSad,
  kDiv,
  kRem,
  kAbs,
  kNeg,
  kMin,
  kMax,
  kFma,
  kRcp,
  kSqrt,
  kRsqrt,
  kSin,
  kCos,
  kEx2,
  kLg2,
  kTanh,
  kAnd,
  kOr,
  kXor,
  kNot,
  kCnot,
  kShl,
  kShr,
  kShf,
  kLop3,
  kBfe,
  kBfi,
  kBfind,
  kBrev,
  kClz,
  kPopc,
  kBmsk,
  kPrmt,
  kSzext,
  kFns,
  kDp4a,
  kDp2a,
  kSet,
  kSetp,
  kSelp,
  kSlct,
  kMov,
  kCvt,
  kCvtPack,
  kCopysign,
  kTestp,
  kAddc,
  kSubc,
  kMadc,
  kVadd4,
  kVsub4,
  kVavrg4,
  kVabsdiff4,
  kVmin4,
  kVmax4,
  kVadd2,
  kVsub2,
  kVavrg2,
  kVabsdiff2,
  kVmin2,
  kVmax2
};

enum class Type : std::uint8_t {
  kNone,
  kPred,
  kB8,
  kB16,
  kB32,
  kB64,
  kU8,
  kU16,
  kU32,
  kU64,
  kS8,
  kS16,
  kS32,
  kS64,
  kF16,
  kF16x2,
  kBf16,
  kBf16x2,
  kF32,
  kF32x2,
  kF64,
  kTf32,
  kE4m3x2,
  kE5m2x2,
  kE2m1x2,
  kE2m3x2,
  kE3m2x2,
  kUe8m0x2,
  kU16x2,
  kS16x2
};

/// The order is that of the parser's table: see alu_form.cpp.
enum class Round : std::uint8_t { kNone, kRn, kRz, kRm, kRp, kRna, kRni, kRzi, kRmi, kRpi };

enum class Compare : std::uint8_t {
  kNone,
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kLo,
  kLs,
  kHi,
  kHs,
  kEqu,
  kNeu,
  kLtu,
  kLeu,
  kGtu,
  kGeu,
  kNum,
  kNan
};

enum class Combine : std::uint8_t { kNone, kAnd, kOr, kXor };

/// prmt's modes, testp's properties: named by one modifier each.
enum class Mode : std::uint8_t {
  kNone,
  kF4e,
  kB4e,
  kRc8,
  kEcl,
  kEcr,
  kRc16,
  kFinite,
  kInfinite,
  kNumber,
  kNotANumber,
  kNormal,
  kSubnormal
};

struct Form {
  Op op = Op::kNone;
  Type type[4] = {};  ///< in source order
  int types = 0;
  Round round = Round::kNone;
  Compare compare = Compare::kNone;
  Combine combine = Combine::kNone;
  Mode mode = Mode::kNone;
  bool ftz = false, sat = false, satfinite = false, relu = false, nan = false;
  bool xorsign = false, abs = false, approx = false, full = false;
  bool lo = false, hi = false, wide = false, cc = false, oob = false;
  bool wrap = false, clamp = false, left = false, right = false, shiftamt = false;
  int operands = 0;        ///< as written, the destination too; a|b is one operand
  int d_bits = 0;          ///< of the destination register, where wider than the type says
  int a_bits = 0;          ///< of the first source register, likewise
  bool a_is_pred = false;  ///< filled by lookups that need it
};

/// Instruction to form. False, with `why`, where a modifier is unknown or means nothing here.
bool parse_form(const ptx::Instruction& instruction, Form& form, std::string& why);

}  // namespace gpusim
