// mma.sync and wmma: shape and types from the modifiers, the register counts of fragments, and the
// places of their elements for wmma.load and wmma.store.
#include <string_view>
#include <utility>

#include "execute/alu/matrix.hpp"
#include "execute/alu/targets.hpp"

namespace gpusim {
namespace {

constexpr std::pair<std::string_view, Element> kElements[] = {
    {"f16", Element::kF16}, {"bf16", Element::kBf16}, {"tf32", Element::kTf32},
    {"f64", Element::kF64}, {"s8", Element::kS8},     {"u8", Element::kU8},
    {"s4", Element::kS4},   {"u4", Element::kU4},     {"e4m3", Element::kE4m3},
    {"b1", Element::kB1},   {"e5m2", Element::kE5m2}, {"f32", Element::kF32},
    {"s32", Element::kS32},
};

bool look_up(std::string_view name, Element& element) {
  for (const auto& [known, meaning] : kElements) {
    if (known == name) {
      element = meaning;
      return true;
    }
  }
  return false;
}

/// "m16n8k8" to its three numbers.
bool parse_shape(std::string_view text, int& m, int& n, int& k) {
  int* const numbers[] = {&m, &n, &k};
  constexpr std::string_view kLetters = "mnk";
  int found[3] = {0, 0, 0};
  std::size_t at = 0;
  for (int i = 0; i < 3; ++i) {
    if (at >= text.size() || text[at] != kLetters[static_cast<std::size_t>(i)]) return false;
    const std::size_t begin = ++at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9' && at < begin + 4) {
      found[i] = found[i] * 10 + (text[at++] - '0');
    }
    if (at == begin) return false;
  }
  if (at != text.size()) return false;
  for (int i = 0; i < 3; ++i) *numbers[i] = found[i];
  return true;
}

std::string text_of(const ptx::Instruction& instruction) {
  std::string text = instruction.opcode;
  for (const std::string& modifier : instruction.modifiers) {
    text += '.';
    text += modifier;
  }
  return text;
}

/// Shape, element types in order, and whether all other modifiers are ones that change nothing
/// here.
struct Parts {
  int m = 0, n = 0, k = 0;
  Element elements[4] = {};
  int count = 0;
  bool satfinite = false;
  std::string unknown;
};
Parts parse(const ptx::Instruction& instruction) {
  static constexpr std::string_view kSilent[] = {
      "sync", "aligned", "row", "col",    "mma",    "load", "store",       "a",
      "b",    "c",       "d",   "global", "shared", "cta",  "shared::cta", "rn"};
  Parts parts;
  for (const std::string& modifier : instruction.modifiers) {
    Element element{};
    if (parse_shape(modifier, parts.m, parts.n, parts.k)) continue;
    if (look_up(modifier, element)) {
      if (parts.count < 4) parts.elements[parts.count] = element;
      ++parts.count;
      continue;
    }
    if (modifier == "satfinite") {
      parts.satfinite = true;
      continue;
    }
    bool silent = false;
    for (const std::string_view known : kSilent) silent = silent || known == modifier;
    if (!silent) parts.unknown = modifier;
  }
  return parts;
}

bool is_integer(Element e) {
  return e == Element::kS8 || e == Element::kU8 || e == Element::kS4 || e == Element::kU4;
}

/// Which accumulators a product of such elements may have.
bool accumulates(Element a, Element accumulator) {
  if (is_integer(a)) return accumulator == Element::kS32;
  if (a == Element::kF64) return accumulator == Element::kF64;
  if (accumulator == Element::kF32) return true;
  return accumulator == Element::kF16 &&
         (a == Element::kF16 || a == Element::kE4m3 || a == Element::kE5m2);
}

bool same_family(Element a, Element b) {
  const auto fp8 = [](Element e) { return e == Element::kE4m3 || e == Element::kE5m2; };
  if (a == b) return true;
  if (is_integer(a)) return elements_per_register(a) == elements_per_register(b) && is_integer(b);
  return fp8(a) && fp8(b);
}

int accumulator_registers(int m, int n, Element e) {
  return distinct_registers(m * n, e == Element::kF16 ? 2 : 1);
}

/// wmma gives f16 fragments of A and B eight registers whatever their shape.
int wmma_registers(int elements, Element e) {
  return e == Element::kF16 ? 8 : distinct_registers(elements, elements_per_register(e));
}

/// Element of a fragment of A: rows of Blocks times 8, depth blocks of 4E columns. `Distinct`
/// registers hold it, further ones repeat them.
template <int RowBlocks, int E, int Distinct>
void place_a(int lane, int reg, int element, int& row, int& column) {
  const int r = reg % Distinct;
  row = (r % RowBlocks) * 8 + lane / 4;
  column = (r / RowBlocks) * 4 * E + (lane % 4) * E + element;
}
template <int DepthBlocks, int E, int Distinct>
void place_b(int lane, int reg, int element, int& row, int& column) {
  const int r = reg % Distinct;
  row = (r % DepthBlocks) * 4 * E + (lane % 4) * E + element;
  column = (r / DepthBlocks) * 8 + lane / 4;
}
/// C and D: one register per element (E = 1), or two elements in one.
template <int RowBlocks, int E>
void place_c(int lane, int reg, int element, int& row, int& column) {
  const int within = E == 2 ? element : reg % 2;
  const int block = E == 2 ? reg : reg / 2;
  row = (block % RowBlocks) * 8 + lane / 4;
  column = (block / RowBlocks) * 8 + (lane % 4) * 2 + within;
}

using Place = void (*)(int lane, int reg, int element, int& row, int& column);

struct Placement {
  int m, n, k;
  int per_register;  // of A and B
  Place a, b, c_words, c_halves;
};
template <int M, int N, int K, int E>
constexpr Placement placement() {
  constexpr int kDepth = K / (4 * E);
  return {M,
          N,
          K,
          E,
          place_a<M / 8, E, distinct_registers(M * K, E)>,
          place_b<kDepth, E, distinct_registers(K * N, E)>,
          place_c<M / 8, 1>,
          place_c<M / 8, 2>};
}
constexpr Placement kPlacements[] = {
    placement<16, 16, 16, 2>(), placement<8, 32, 16, 2>(), placement<32, 8, 16, 2>(),
    placement<16, 16, 16, 4>(), placement<8, 32, 16, 4>(), placement<32, 8, 16, 4>(),
    placement<16, 16, 8, 1>(),  placement<8, 8, 4, 1>(),
};

}  // namespace

MmaEntry find_mma(const ptx::Instruction& instruction, std::string& why) {
  const Parts parts = parse(instruction);
  const auto unsupported = [&] {
    why = "'" + text_of(instruction) + "' is not supported";
    return MmaEntry{};
  };
  MatrixForm form;
  form.wmma = instruction.opcode == "wmma";
  form.m = parts.m;
  form.n = parts.n;
  form.k = parts.k;
  form.satfinite = parts.satfinite;
  if (!parts.unknown.empty() || parts.m == 0) return unsupported();
  if (parts.count == 4) {
    form.d = parts.elements[0];
    form.a = parts.elements[1];
    form.b = parts.elements[2];
    form.c = parts.elements[3];
  } else if (parts.count == 2 && form.wmma) {  // f16 products name only D and C
    form.d = parts.elements[0];
    form.c = parts.elements[1];
    form.a = form.b = Element::kF16;
  } else {
    return unsupported();
  }
  // The f16 overflow rule of .satfinite is another one; only integers know it here.
  if (form.satfinite && !is_integer(form.a)) return unsupported();
  const bool fits =
      same_family(form.a, form.b) && accumulates(form.a, form.c) && accumulates(form.a, form.d);
  // mma.sync shapes are multiples of one block of columns, wmma has its own list.
  const bool shape = form.wmma == (form.n > 8 || form.m == 32 ||
                                   (form.a == Element::kF64 && form.wmma && form.m == 8));
  MmaEntry entry;
  if (fits && shape) entry.function = alu_target_functions().find_product(form);
  if (entry.function == nullptr) return unsupported();

  const int per_register = elements_per_register(form.a);
  const int elements_a = form.m * form.k, elements_b = form.k * form.n;
  entry.d_rows = accumulator_registers(form.m, form.n, form.d);
  entry.c_rows = accumulator_registers(form.m, form.n, form.c);
  entry.a_rows =
      form.wmma ? wmma_registers(elements_a, form.a) : distinct_registers(elements_a, per_register);
  entry.b_rows =
      form.wmma ? wmma_registers(elements_b, form.b) : distinct_registers(elements_b, per_register);
  entry.row_bits = form.a == Element::kF64 ? 64 : 32;
  entry.flops = 2.0 * form.m * form.n * form.k;
  return entry;
}

bool find_wmma_layout(const ptx::Instruction& instruction, WmmaLayout& layout, std::string& why) {
  const Parts parts = parse(instruction);
  const bool a = instruction.has("a"), b = instruction.has("b");
  const bool accumulator = instruction.has("c") || instruction.has("d");
  why = "'" + text_of(instruction) + "' is not supported";
  if (!parts.unknown.empty() || parts.count != 1 || a + b + accumulator != 1) return false;
  const Element element = parts.elements[0];
  const bool halves = element == Element::kF16;
  const bool words = element == Element::kF32 || element == Element::kS32;
  for (const Placement& p : kPlacements) {
    if (p.m != parts.m || p.n != parts.n || p.k != parts.k) continue;
    if (accumulator) {
      if (p.k == 4 ? element != Element::kF64 : !halves && !words) continue;
      layout.rows = p.m;
      layout.columns = p.n;
      layout.elements_per_register = halves ? 2 : 1;
      layout.registers = accumulator_registers(p.m, p.n, element);
      layout.element_bytes = halves ? 2 : (element == Element::kF64 ? 8 : 4);
      layout.place = halves ? p.c_halves : p.c_words;
    } else {
      const bool narrow_kind = is_integer(element) || halves || element == Element::kBf16;
      const bool wide_kind = p.k == 4 ? element == Element::kF64 : element == Element::kTf32;
      if (p.per_register != elements_per_register(element) || !(narrow_kind || wide_kind)) continue;
      layout.rows = a ? p.m : p.k;
      layout.columns = a ? p.k : p.n;
      layout.elements_per_register = p.per_register;
      layout.registers = wmma_registers(layout.rows * layout.columns, element);
      layout.element_bytes = element == Element::kF64 ? 8 : 4 / p.per_register;
      layout.place = a ? p.a : p.b;
    }
    why.clear();
    return true;
  }
  return false;
}

}  // namespace gpusim
