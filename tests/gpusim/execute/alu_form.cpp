// The text of an arithmetic instruction to a Form: the opcode from one table, each modifier from
// another. A modifier that no table knows ends in an error that names it.
#include <array>
#include <string_view>
#include <utility>

#include "execute/alu/form.hpp"

namespace gpusim {
namespace {

using Name = std::string_view;

constexpr std::pair<Name, Op> kOps[] = {
    {"add", Op::kAdd},       {"sub", Op::kSub},
    {"mul", Op::kMul},       {"mad", Op::kMad},
    {"mul24", Op::kMul24},   {"mad24", Op::kMad24},
    {"sad", Op::kSad},       {"div", Op::kDiv},
    {"rem", Op::kRem},       {"abs", Op::kAbs},
    {"neg", Op::kNeg},       {"min", Op::kMin},
    {"max", Op::kMax},       {"fma", Op::kFma},
    {"rcp", Op::kRcp},       {"sqrt", Op::kSqrt},
    {"rsqrt", Op::kRsqrt},   {"sin", Op::kSin},
    {"cos", Op::kCos},       {"ex2", Op::kEx2},
    {"lg2", Op::kLg2},       {"tanh", Op::kTanh},
    {"and", Op::kAnd},       {"or", Op::kOr},
    {"xor", Op::kXor},       {"not", Op::kNot},
    {"cnot", Op::kCnot},     {"shl", Op::kShl},
    {"shr", Op::kShr},       {"shf", Op::kShf},
    {"lop3", Op::kLop3},     {"bfe", Op::kBfe},
    {"bfi", Op::kBfi},       {"bfind", Op::kBfind},
    {"brev", Op::kBrev},     {"clz", Op::kClz},
    {"popc", Op::kPopc},     {"bmsk", Op::kBmsk},
    {"prmt", Op::kPrmt},     {"szext", Op::kSzext},
    {"fns", Op::kFns},       {"dp4a", Op::kDp4a},
    {"dp2a", Op::kDp2a},     {"set", Op::kSet},
    {"setp", Op::kSetp},     {"selp", Op::kSelp},
    {"slct", Op::kSlct},     {"mov", Op::kMov},
    {"cvt", Op::kCvt},       {"copysign", Op::kCopysign},
    {"testp", Op::kTestp},   {"addc", Op::kAddc},
    {"subc", Op::kSubc},     {"madc", Op::kMadc},
    {"vadd4", Op::kVadd4},   {"vsub4", Op::kVsub4},
    {"vavrg4", Op::kVavrg4}, {"vabsdiff4", Op::kVabsdiff4},
    {"vmin4", Op::kVmin4},   {"vmax4", Op::kVmax4},
    {"vadd2", Op::kVadd2},   {"vsub2", Op::kVsub2},
    {"vavrg2", Op::kVavrg2}, {"vabsdiff2", Op::kVabsdiff2},
    {"vmin2", Op::kVmin2},   {"vmax2", Op::kVmax2},
};

constexpr std::pair<Name, Type> kTypes[] = {
    {"pred", Type::kPred},     {"b8", Type::kB8},         {"b16", Type::kB16},
    {"b32", Type::kB32},       {"b64", Type::kB64},       {"u8", Type::kU8},
    {"u16", Type::kU16},       {"u32", Type::kU32},       {"u64", Type::kU64},
    {"s8", Type::kS8},         {"s16", Type::kS16},       {"s32", Type::kS32},
    {"s64", Type::kS64},       {"f16", Type::kF16},       {"f16x2", Type::kF16x2},
    {"bf16", Type::kBf16},     {"bf16x2", Type::kBf16x2}, {"f32", Type::kF32},
    {"f32x2", Type::kF32x2},   {"f64", Type::kF64},       {"tf32", Type::kTf32},
    {"e4m3x2", Type::kE4m3x2}, {"e5m2x2", Type::kE5m2x2}, {"e2m1x2", Type::kE2m1x2},
    {"e2m3x2", Type::kE2m3x2}, {"e3m2x2", Type::kE3m2x2}, {"ue8m0x2", Type::kUe8m0x2},
    {"u16x2", Type::kU16x2},   {"s16x2", Type::kS16x2},
};

constexpr std::pair<Name, Round> kRounds[] = {
    {"rn", Round::kRn},   {"rz", Round::kRz},   {"rm", Round::kRm},
    {"rp", Round::kRp},   {"rna", Round::kRna}, {"rni", Round::kRni},
    {"rzi", Round::kRzi}, {"rmi", Round::kRmi}, {"rpi", Round::kRpi},
};

constexpr std::pair<Name, Compare> kCompares[] = {
    {"eq", Compare::kEq},   {"ne", Compare::kNe},   {"lt", Compare::kLt},   {"le", Compare::kLe},
    {"gt", Compare::kGt},   {"ge", Compare::kGe},   {"lo", Compare::kLo},   {"ls", Compare::kLs},
    {"hi", Compare::kHi},   {"hs", Compare::kHs},   {"equ", Compare::kEqu}, {"neu", Compare::kNeu},
    {"ltu", Compare::kLtu}, {"leu", Compare::kLeu}, {"gtu", Compare::kGtu}, {"geu", Compare::kGeu},
    {"num", Compare::kNum}, {"nan", Compare::kNan},
};

constexpr std::pair<Name, Combine> kCombines[] = {
    {"and", Combine::kAnd}, {"or", Combine::kOr}, {"xor", Combine::kXor}};

constexpr std::pair<Name, Mode> kPermuteModes[] = {
    {"f4e", Mode::kF4e}, {"b4e", Mode::kB4e}, {"rc8", Mode::kRc8},
    {"ecl", Mode::kEcl}, {"ecr", Mode::kEcr}, {"rc16", Mode::kRc16},
};

constexpr std::pair<Name, Mode> kProperties[] = {
    {"finite", Mode::kFinite}, {"infinite", Mode::kInfinite},   {"number", Mode::kNumber},
    {"normal", Mode::kNormal}, {"subnormal", Mode::kSubnormal}, {"notanumber", Mode::kNotANumber},
};

constexpr std::pair<Name, bool Form::*> kFlags[] = {
    {"ftz", &Form::ftz},   {"sat", &Form::sat},       {"satfinite", &Form::satfinite},
    {"relu", &Form::relu}, {"NaN", &Form::nan},       {"xorsign", &Form::xorsign},
    {"abs", &Form::abs},   {"approx", &Form::approx}, {"full", &Form::full},
    {"lo", &Form::lo},     {"hi", &Form::hi},         {"wide", &Form::wide},
    {"cc", &Form::cc},     {"wrap", &Form::wrap},     {"clamp", &Form::clamp},
    {"l", &Form::left},    {"r", &Form::right},       {"shiftamt", &Form::shiftamt},
};

template <class Value, std::size_t Size>
bool look_up(const std::pair<Name, Value> (&table)[Size], Name name, Value& value) {
  for (const auto& [known, meaning] : table) {
    if (known == name) {
      value = meaning;
      return true;
    }
  }
  return false;
}

/// One modifier. Comparisons come before flags for set and setp, where .hi and .lo are comparisons.
bool apply_modifier(Form& form, Name name) {
  const bool compares = form.op == Op::kSet || form.op == Op::kSetp;
  if (compares && form.compare == Compare::kNone && look_up(kCompares, name, form.compare)) {
    return true;
  }
  if (compares && look_up(kCombines, name, form.combine)) return true;
  Type type = Type::kNone;
  if (look_up(kTypes, name, type)) {
    if (form.types == 4) return false;
    form.type[form.types++] = type;
    return true;
  }
  if (form.round == Round::kNone && look_up(kRounds, name, form.round)) return true;
  if (form.op == Op::kPrmt) return look_up(kPermuteModes, name, form.mode);
  if (form.op == Op::kTestp) return look_up(kProperties, name, form.mode);
  if (form.op == Op::kCvt && name == "pack") {
    form.op = Op::kCvtPack;
    return true;
  }
  const bool video = form.op >= Op::kVadd4;
  if (video && name == "add") {
    form.full = true;  // see video.vec.cpp
    return true;
  }
  bool Form::*flag = nullptr;
  if (!look_up(kFlags, name, flag) || (video && flag == &Form::full)) return false;
  form.*flag = true;
  return true;
}

}  // namespace

bool parse_form(const ptx::Instruction& instruction, Form& form, std::string& why) {
  form = Form{};
  if (!look_up(kOps, instruction.opcode, form.op)) {
    why = "unknown instruction '" + instruction.opcode + "'";
    return false;
  }
  form.operands = static_cast<int>(instruction.operands.size());
  for (const std::string& modifier : instruction.modifiers) {
    if (!apply_modifier(form, modifier)) {
      why = "'" + instruction.opcode + "' does not know the modifier '." + modifier + "'";
      return false;
    }
  }
  if (form.types == 0) {
    why = "'" + instruction.opcode + "' without a type";
    return false;
  }
  return true;
}

}  // namespace gpusim
