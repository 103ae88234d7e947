// Finds the function of an instruction: its form, then the lookups of the best instruction set that
// this processor has. GPUSIM_ALU=baseline, avx2 or avx512 asks for a lesser one.
#include "execute/alu.hpp"

#include <cstdlib>
#include <string_view>

#include "execute/alu/targets.hpp"

namespace gpusim {
namespace {

/// Types that an instruction carries, for those where it is not one.
int expected_types(Op op) {
  switch (op) {
    case Op::kCvt:
    case Op::kSet:
    case Op::kSlct:
    case Op::kDp4a:
    case Op::kDp2a:
      return 2;
    case Op::kCvtPack:
      return 0;  // two or three
    default:
      return op >= Op::kVadd4 ? 3 : 1;
  }
}

std::string text_of(const ptx::Instruction& instruction) {
  std::string text = instruction.opcode;
  for (const std::string& modifier : instruction.modifiers) {
    text += '.';
    text += modifier;
  }
  return text;
}

bool wide(int bits) {
  return bits == 64;
}

}  // namespace

const AluTarget& alu_target_functions() {
  static const AluTarget chosen = [] {
    AluTarget target{"baseline", baseline::find_all, baseline::find_product};
#if defined(__x86_64__)
    const char* text = std::getenv("GPUSIM_ALU");
    const std::string_view wanted = text == nullptr ? "" : text;
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                          __builtin_cpu_supports("bmi2");
    const bool has_avx512 =
        has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl");
    if (wanted == "baseline") return target;
    if (has_avx512 && wanted != "avx2") {
      target = {"AVX-512", avx512::find_all, avx512::find_product};
    } else if (has_avx2) {
      target = {"AVX2", avx2::find_all, avx2::find_product};
    }
#endif
    return target;
  }();
  return chosen;
}

const char* alu_target() {
  return alu_target_functions().name;
}

AluEntry find_alu(const ptx::Instruction& instruction, std::string& why, int d_register_bits,
                  int a_register_bits) {
  Form form;
  if (!parse_form(instruction, form, why)) return {};
  if (form.op == Op::kCvt) {
    form.d_bits = d_register_bits;
    form.a_bits = a_register_bits;
  }
  const int types = expected_types(form.op);
  AluEntry entry;
  if (types == 0 || form.types == types) entry = alu_target_functions().find(form);
  if (entry.function == nullptr) {
    why = "'" + text_of(instruction) + "' is not supported";
    return {};
  }
  const bool d_differs = d_register_bits > 1 && wide(d_register_bits) != wide(entry.d_bits);
  const bool a_differs = a_register_bits > 1 && wide(a_register_bits) != wide(entry.a_bits);
  if (d_differs || a_differs) {
    why = "'" + text_of(instruction) + "' with registers of another width is not supported";
    return {};
  }
  return entry;
}

}  // namespace gpusim
