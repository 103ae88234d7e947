// For tests of the arithmetic: runs an instruction over every combination of given operand values
// and compares each lane with a scalar reference, with all lanes active, with some, and in place.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "execute/alu.hpp"

namespace gpusim::test {

using Words = std::vector<std::uint64_t>;

/// "setp.lt.f32" as an instruction with that many operands.
inline ptx::Instruction instruction(const std::string& text, int operands) {
  ptx::Instruction result;
  std::istringstream parts(text);
  std::getline(parts, result.opcode, '.');
  for (std::string part; std::getline(parts, part, '.');) result.modifiers.push_back(part);
  result.operands.resize(static_cast<std::size_t>(operands));
  return result;
}

/// A register row of either width, or a predicate word.
class Row {
 public:
  void set(int lane, std::uint64_t value, int bits) {
    if (bits == 64) {
      words_[lane] = value;
    } else if (bits == 1) {
      auto* word = narrow();
      *word = (*word & ~(1u << lane)) | static_cast<std::uint32_t>(value & 1u) << lane;
    } else {
      narrow()[lane] = static_cast<std::uint32_t>(value);
    }
  }
  std::uint64_t get(int lane, int bits) const {
    if (bits == 64) return words_[lane];
    if (bits == 1) return narrow()[0] >> lane & 1u;
    return narrow()[lane];
  }
  void* data() { return words_; }

 private:
  std::uint32_t* narrow() { return reinterpret_cast<std::uint32_t*>(words_); }
  const std::uint32_t* narrow() const { return reinterpret_cast<const std::uint32_t*>(words_); }
  alignas(64) std::uint64_t words_[kLanes] = {};
};

/// Sources as a reference sees them, absent ones zero.
using Sources = std::uint64_t[4];
using Reference = std::function<std::uint64_t(const Sources&)>;

struct Check {
  std::string text;           ///< "add.s32"
  std::vector<Words> values;  ///< of each source, all combinations are tried
  Reference reference;
  std::uint64_t result_mask = ~std::uint64_t{0};  ///< of the bits that are compared
  std::uint32_t immediate = 0;
  int d_register_bits = 0, a_register_bits = 0;
  bool negate_c = false;
  /// Instead of equality, where the result is approximate.
  std::function<bool(std::uint64_t expected, std::uint64_t got)> accept = {};
};

inline void run_check(const Check& check) {
  const int sources = static_cast<int>(check.values.size());
  std::string why;
  const AluEntry entry = find_alu(instruction(check.text, sources + 1), why, check.d_register_bits,
                                  check.a_register_bits);
  ASSERT_NE(entry.function, nullptr) << check.text << ": " << why;
  const int bits[4] = {entry.a_bits, entry.b_bits, entry.c_bits, entry.e_bits};
  for (int s = 0; s < 4; ++s)
    ASSERT_EQ(bits[s] != 0, s < sources) << check.text << " operand " << s;

  std::size_t combinations = 1;
  for (const Words& v : check.values) combinations *= v.size();
  std::mt19937 random(7);
  int failures = 0;
  for (std::size_t base = 0; base < combinations && failures < 3; base += kLanes) {
    Sources lanes[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      std::size_t index = (base + static_cast<std::size_t>(lane)) % combinations;
      for (int s = 0; s < 4; ++s) {
        lanes[lane][s] = 0;
        if (s >= sources) continue;
        const Words& v = check.values[static_cast<std::size_t>(s)];
        lanes[lane][s] = v[index % v.size()];
        index /= v.size();
      }
    }
    // All lanes, some lanes; then in place of each source that has the destination's width.
    for (int mode = 0; mode < 2 + sources; ++mode) {
      const int in_place = mode - 2;
      if (in_place >= 0 && bits[in_place] != entry.d_bits) continue;
      std::uint32_t mask = mode == 0 ? 0xffffffffu : static_cast<std::uint32_t>(random());
      if (in_place >= 0 && (base / kLanes) % 2 == 0) mask = 0xffffffffu;
      Row rows[4], target;
      for (int s = 0; s < sources; ++s) {
        for (int lane = 0; lane < kLanes; ++lane) rows[s].set(lane, lanes[lane][s], bits[s]);
      }
      Row& d = in_place >= 0 ? rows[in_place] : target;
      if (in_place < 0) {
        for (int lane = 0; lane < kLanes; ++lane) d.set(lane, random() | 1u, entry.d_bits);
      }
      const Row before = d;
      AluOperands o;
      o.d = d.data();
      o.a = rows[0].data();
      o.b = rows[1].data();
      o.c = rows[2].data();
      o.e = rows[3].data();
      o.immediate = check.immediate;
      o.negate_c = check.negate_c;
      entry.function(o, mask);
      for (int lane = 0; lane < kLanes; ++lane) {
        const std::uint64_t got = d.get(lane, entry.d_bits);
        if ((mask >> lane & 1u) == 0) {
          if (got == before.get(lane, entry.d_bits)) continue;
          ++failures;
          ADD_FAILURE() << check.text << " changed the idle lane " << lane;
          continue;
        }
        const std::uint64_t expected = check.reference(lanes[lane]) & check.result_mask;
        const std::uint64_t seen = got & check.result_mask;
        const bool good = check.accept ? check.accept(expected, seen) : expected == seen;
        if (good) continue;
        ++failures;
        ADD_FAILURE() << check.text << std::hex << " of " << lanes[lane][0] << ", "
                      << lanes[lane][1] << ", " << lanes[lane][2] << ", " << lanes[lane][3]
                      << (in_place >= 0 ? " in place" : "") << " is " << expected << ", got "
                      << seen;
      }
      if (failures > 3) return;
    }
  }
}

inline bool supported(const std::string& text, int operands) {
  std::string why;
  return find_alu(instruction(text, operands), why).function != nullptr;
}

/// Integers around the edges of every width, and some in between.
inline const Words kIntegers = {0,
                                1,
                                2,
                                3,
                                31,
                                32,
                                33,
                                63,
                                64,
                                65,
                                127,
                                128,
                                255,
                                256,
                                0x7ffe,
                                0x7fff,
                                0x8000,
                                0xfffe,
                                0xffff,
                                0x10000,
                                0x12345678,
                                0x7fffffff,
                                0x80000000,
                                0xdeadbeef,
                                0xfffffffe,
                                0xffffffff,
                                0x123456789abcdef0ull,
                                0x7fffffffffffffffull,
                                0x8000000000000000ull,
                                0xfffffffffffffffeull,
                                0xffffffffffffffffull,
                                0xffffffff00000000ull,
                                0x0000000100000000ull};
/// Fewer, for instructions with three and four operands.
inline const Words kFewIntegers = {0,
                                   1,
                                   5,
                                   0x7fff,
                                   0x8000,
                                   0xffff,
                                   0x12345678,
                                   0x7fffffff,
                                   0x80000000,
                                   0xffffffff,
                                   0x8000000000000000ull,
                                   0xffffffffffffffffull,
                                   0x123456789abcdef0ull};

inline std::uint64_t f32(float v) {
  return std::bit_cast<std::uint32_t>(v);
}
inline std::uint64_t f64(double v) {
  return std::bit_cast<std::uint64_t>(v);
}
inline float as_f32(std::uint64_t v) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(v));
}
inline double as_f64(std::uint64_t v) {
  return std::bit_cast<double>(v);
}

inline const Words kFloats = {
    0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x807fffff, 0x00800000, 0x80800000,
    0x3f800000, 0xbf800000, 0x3f800001, 0x3f7fffff, 0x40490fdb, 0xc0490fdb, 0x3dcccccd, 0x33d6bf95,
    0x4b000001, 0x4effffff, 0x4f000000, 0xcf000000, 0x4f800000, 0x5f000000, 0x5f800000, 0x7e800000,
    0xfe967699, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001,
    0x3fc00000, 0x40200000, 0xbf000000, 0xc0600000, 0x477fe000, 0x477ff000, 0x33800000, 0x38800000};
inline const Words kDoubles = {f64(0.0),
                               f64(-0.0),
                               1,
                               0x8000000000000001ull,
                               0x000fffffffffffffull,
                               0x0010000000000000ull,
                               f64(1.0),
                               f64(-1.0),
                               f64(1.0) + 1,
                               f64(0.1),
                               f64(-2.5),
                               f64(1.5),
                               f64(3.14159265358979),
                               f64(65519.999),
                               f64(2147483647.5),
                               f64(-2147483648.5),
                               f64(4294967295.5),
                               f64(9.3e18),
                               f64(1.9e19),
                               f64(1e300),
                               f64(-1e-300),
                               f64(3.4028235677973366e38),
                               f64(1.401298464324817e-45),
                               f64(1.1e-38),
                               0x7fefffffffffffffull,
                               0x7ff0000000000000ull,
                               0xfff0000000000000ull,
                               0x7ff8000000000000ull,
                               0xfff8000000000000ull,
                               f64(1.0 + 0x1p-24 + 0x1p-50),
                               f64(1.0 + 0x1p-24)};

}  // namespace gpusim::test
