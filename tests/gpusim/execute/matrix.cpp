// Tensor cores: mma and wmma.mma through find_mma(), and the loads and stores of their fragments.
#include <cstring>

#include "execute/memory_access.hpp"

namespace gpusim::execute {
namespace {

constexpr std::size_t kMaximumRows = 32;

struct MmaDetail : Detail {
  MmaEntry entry;
  std::size_t a = 0, b = 0, c = 0;  ///< where they begin in `inputs`
};

void multiply(Context& context, const Op& op, LaneMask mask) {
  const auto& detail = op.as<MmaDetail>();
  if (mask != kAllLanes) {
    context.report("incomplete warp at a matrix product", op, __builtin_ctz(mask),
                   "all 32 lanes have to take part");
  }
  void* d[kMaximumRows];
  const void* sources[kMaximumRows];
  for (std::size_t r = 0; r < detail.outputs.size(); ++r) {
    d[r] = detail.outputs[r].resolve(context.frame);
  }
  for (std::size_t r = 0; r < detail.inputs.size(); ++r) {
    sources[r] = detail.inputs[r].resolve(context.frame);
  }
  detail.entry.function({d, sources + detail.a, sources + detail.b, sources + detail.c});
  ++context.counters.tensor_instructions;
  context.counters.tensor_flops += detail.entry.flops;
}

template <class F>
void for_elements(const ptx::Operand& operand, F f) {
  if (operand.kind == ptx::Operand::Kind::kVector) {
    for (const ptx::Operand& element : operand.elements) f(element);
  } else {
    f(operand);
  }
}

void decode_product(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  std::string why;
  MmaDetail detail;
  detail.entry = find_mma(i, why);
  if (detail.entry.function == nullptr) decoder.unsupported(why);
  if (i.operands.size() < 4) decoder.unsupported("four fragments are expected");
  const int bits = detail.entry.row_bits;
  // Fragments of f64 shapes are 64-bit rows throughout.
  std::size_t* starts[] = {&detail.a, &detail.b, &detail.c};
  for (std::size_t f = 0; f < 3; ++f) {
    *starts[f] = detail.inputs.size();
    for_elements(i.operands[f + 1], [&](const ptx::Operand& element) {
      detail.inputs.push_back(decoder.source(element, bits));
    });
  }
  for_elements(i.operands[0], [&](const ptx::Operand& element) {
    detail.outputs.push_back(decoder.destination(element, bits));
  });
  const auto count = [](int n) { return static_cast<std::size_t>(n); };
  if (detail.outputs.size() != count(detail.entry.d_rows) ||
      detail.b - detail.a != count(detail.entry.a_rows) ||
      detail.c - detail.b != count(detail.entry.b_rows) ||
      detail.inputs.size() - detail.c != count(detail.entry.c_rows) ||
      detail.inputs.size() > kMaximumRows || detail.outputs.size() > kMaximumRows) {
    decoder.unsupported("a fragment has another number of registers");
  }
  Op& op = decoder.emit_handler(multiply, Kind::kSync);
  decoder.detail<MmaDetail>(op) = std::move(detail);
}

// ldmatrix and stmatrix: 8x8 matrices of 16-bit elements, a row of 16 bytes per address.

struct LdmatrixDetail : MemoryDetail {
  bool transposed = false;
};

/// The rows of all matrices; lane i of the first 8 * count gives row i % 8 of matrix i / 8.
bool matrix_rows(Context& context, const Op& op, const LdmatrixDetail& detail, LaneMask mask,
                 std::size_t matrices, std::byte** place) {
  Addresses addresses;
  collect_addresses(context, op, detail, mask, addresses);
  const LaneMask lanes = mask & (matrices >= 4 ? kAllLanes : (1u << (8 * matrices)) - 1);
  if (detail.space == ptx::Space::kGeneric) {
    by_space(context, lanes, addresses.at, [](ptx::Space, LaneMask) { return true; });
  }
  return resolve_shared(context, op, detail, lanes, addresses.at, place);
}

void load_matrix(Context& context, const Op& op, LaneMask mask) {
  const auto& detail = op.as<LdmatrixDetail>();
  std::byte* place[kLanes] = {};
  if (!matrix_rows(context, op, detail, mask, detail.outputs.size(), place)) return;
  for (std::size_t m = 0; m < detail.outputs.size(); ++m) {
    std::uint32_t* d = context.row32(detail.outputs[m]);
    for_lanes(mask, [&](int lane) {
      const auto l = static_cast<std::size_t>(lane);
      std::uint32_t value = 0;
      if (!detail.transposed) {
        std::memcpy(&value, place[m * 8 + l / 4] + l % 4 * 4, 4);
      } else {
        std::uint16_t low = 0, high = 0;
        std::memcpy(&low, place[m * 8 + l % 4 * 2] + l / 4 * 2, 2);
        std::memcpy(&high, place[m * 8 + l % 4 * 2 + 1] + l / 4 * 2, 2);
        value = low | std::uint32_t{high} << 16;
      }
      d[lane] = value;
    });
  }
}

void store_matrix(Context& context, const Op& op, LaneMask mask) {
  const auto& detail = op.as<LdmatrixDetail>();
  std::byte* place[kLanes] = {};
  if (!matrix_rows(context, op, detail, mask, detail.inputs.size(), place)) return;
  for (std::size_t m = 0; m < detail.inputs.size(); ++m) {
    const std::uint32_t* s = context.row32(detail.inputs[m]);
    for_lanes(mask, [&](int lane) {
      const auto l = static_cast<std::size_t>(lane);
      if (!detail.transposed) {
        std::memcpy(place[m * 8 + l / 4] + l % 4 * 4, &s[lane], 4);
      } else {
        const auto low = static_cast<std::uint16_t>(s[lane]);
        const auto high = static_cast<std::uint16_t>(s[lane] >> 16);
        std::memcpy(place[m * 8 + l % 4 * 2] + l / 4 * 2, &low, 2);
        std::memcpy(place[m * 8 + l % 4 * 2 + 1] + l / 4 * 2, &high, 2);
      }
    });
  }
}

void decode_matrix_access(Decoder& decoder, bool load) {
  const ptx::Instruction& i = decoder.instruction();
  if (!i.has("m8n8") || !i.has("b16")) decoder.unsupported("m8n8 of b16 is known");
  if (i.operands.size() != 2) decoder.unsupported("registers and an address are expected");
  const std::size_t count = i.has("x4") ? 4 : i.has("x2") ? 2 : 1;
  LdmatrixDetail detail;
  detail.space = memory_space(decoder);
  detail.width = detail.element_bytes = 16;
  detail.write = !load;
  detail.used = false;
  detail.transposed = i.has("trans");
  const Address address = bring_address(decoder, i.operands[load ? 1 : 0], detail);
  for_elements(i.operands[load ? 0 : 1], [&](const ptx::Operand& element) {
    if (load) {
      detail.outputs.push_back(decoder.destination(element, 32));
    } else {
      detail.inputs.push_back(decoder.source(element, 32));
    }
  });
  if ((load ? detail.outputs : detail.inputs).size() != count) {
    decoder.unsupported("another number of registers is expected");
  }
  Op& op = decoder.emit_handler(load ? load_matrix : store_matrix, Kind::kSync);
  op.a = address.row;
  op.immediate = address.wide ? 64 : 32;
  decoder.detail<LdmatrixDetail>(op) = std::move(detail);
}

// wmma.load and wmma.store: a whole fragment from rows or columns of a matrix in memory.

struct WmmaDetail : MemoryDetail {
  WmmaLayout layout;
  bool row_major = true;
  bool wide_values = false;
};

/// The lines of the matrix (rows, or columns where it is stored by columns).
bool matrix_lines(Context& context, const Op& op, const WmmaDetail& detail, std::byte** line) {
  Addresses addresses;
  collect_addresses(context, op, detail, kAllLanes, addresses);
  const int lane = __builtin_ctz(context.group->mask);
  const int lines = detail.row_major ? detail.layout.rows : detail.layout.columns;
  const int length = detail.row_major ? detail.layout.columns : detail.layout.rows;
  const std::uint64_t stride =
      op.b.absent() ? static_cast<std::uint64_t>(length) : context.row32(op.b)[lane];
  ptx::Space space = detail.space;
  if (space == ptx::Space::kGeneric) {
    by_space(context, 1u << lane, addresses.at, [&space](ptx::Space found, LaneMask) {
      space = found;
      return true;
    });
  }
  const auto element = static_cast<std::uint64_t>(detail.layout.element_bytes);
  const std::uint64_t bytes = element * static_cast<std::uint64_t>(length);
  for (int l = 0; l < lines; ++l) {
    const std::uint64_t at = addresses.at[lane] + static_cast<std::uint64_t>(l) * stride * element;
    line[l] = space == ptx::Space::kShared
                  ? resolve_shared_range(context, op, lane, at, bytes, detail.write, element)
                  : resolve_global_range(context, op, lane, at, bytes, detail.write, element);
    if (line[l] == nullptr) return false;
  }
  if (space != ptx::Space::kShared) {
    ++(detail.write ? context.counters.global_store_requests
                    : context.counters.global_load_requests);
  }
  return true;
}

/// Calls f(memory, register row number, lane, bit position) for every element.
template <class F>
void for_fragment(const WmmaDetail& detail, std::byte* const* line, F f) {
  const WmmaLayout& layout = detail.layout;
  const int bits = layout.element_bytes * 8;
  for (int r = 0; r < layout.registers; ++r) {
    for (int lane = 0; lane < kLanes; ++lane) {
      for (int e = 0; e < layout.elements_per_register; ++e) {
        int row = 0, column = 0;
        layout.place(lane, r, e, row, column);
        const int l = detail.row_major ? row : column;
        const int at = detail.row_major ? column : row;
        f(line[l] + at * layout.element_bytes, static_cast<std::size_t>(r), lane, e * bits);
      }
    }
  }
}

void load_fragment(Context& context, const Op& op, LaneMask) {
  const auto& detail = op.as<WmmaDetail>();
  std::byte* line[64];
  if (!matrix_lines(context, op, detail, line)) return;
  const auto bytes = static_cast<std::size_t>(detail.layout.element_bytes);
  for (const Ref ref : detail.outputs) {
    std::memset(ref.resolve(context.frame), 0, (detail.wide_values ? 8u : 4u) * kLanes);
  }
  for_fragment(detail, line, [&](const std::byte* memory, std::size_t r, int lane, int bit) {
    std::uint64_t value = 0;
    std::memcpy(&value, memory, bytes);
    if (detail.wide_values) {
      context.row64(detail.outputs[r])[lane] |= value << bit;
    } else {
      context.row32(detail.outputs[r])[lane] |= static_cast<std::uint32_t>(value << bit);
    }
  });
}

void store_fragment(Context& context, const Op& op, LaneMask) {
  const auto& detail = op.as<WmmaDetail>();
  std::byte* line[64];
  if (!matrix_lines(context, op, detail, line)) return;
  const auto bytes = static_cast<std::size_t>(detail.layout.element_bytes);
  for_fragment(detail, line, [&](std::byte* memory, std::size_t r, int lane, int bit) {
    const std::uint64_t row = detail.wide_values ? context.row64(detail.inputs[r])[lane]
                                                 : context.row32(detail.inputs[r])[lane];
    const std::uint64_t value = row >> bit;
    std::memcpy(memory, &value, bytes);
  });
}

void decode_fragment(Decoder& decoder, bool load) {
  const ptx::Instruction& i = decoder.instruction();
  WmmaDetail detail;
  std::string why;
  if (!find_wmma_layout(i, detail.layout, why)) decoder.unsupported(why);
  if (detail.layout.rows > 64 || detail.layout.columns > 64 || detail.layout.element_bytes < 1) {
    decoder.unsupported("matrices of this size");
  }
  if (i.operands.size() < 2) decoder.unsupported("registers and an address are expected");
  detail.space = memory_space(decoder);
  detail.write = !load;
  detail.row_major = i.has("row");
  detail.wide_values = detail.layout.element_bytes == 8;
  const int bits = detail.wide_values ? 64 : 32;
  const Address address = bring_address(decoder, i.operands[load ? 1 : 0], detail);
  for_elements(i.operands[load ? 0 : 1], [&](const ptx::Operand& element) {
    if (load) {
      detail.outputs.push_back(decoder.destination(element, bits));
    } else {
      detail.inputs.push_back(decoder.source(element, bits));
    }
  });
  if (static_cast<int>((load ? detail.outputs : detail.inputs).size()) != detail.layout.registers) {
    decoder.unsupported("another number of registers is expected");
  }
  Ref stride;
  if (i.operands.size() > 2) stride = decoder.source(i.operands[2], 32);
  Op& op = decoder.emit_handler(load ? load_fragment : store_fragment, Kind::kSync);
  op.a = address.row;
  op.b = stride;
  op.immediate = address.wide ? 64 : 32;
  decoder.detail<WmmaDetail>(op) = std::move(detail);
}

}  // namespace

bool decode_matrix(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.opcode == "mma" || (i.opcode == "wmma" && i.has("mma"))) {
    decode_product(decoder);
  } else if (i.opcode == "ldmatrix") {
    decode_matrix_access(decoder, true);
  } else if (i.opcode == "stmatrix") {
    decode_matrix_access(decoder, false);
  } else if (i.opcode == "wmma" && i.has("load")) {
    decode_fragment(decoder, true);
  } else if (i.opcode == "wmma" && i.has("store")) {
    decode_fragment(decoder, false);
  } else {
    return false;
  }
  return true;
}

}  // namespace gpusim::execute
