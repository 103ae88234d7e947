// ld, st, ldu in all widths and vectors. Three ways: all lanes with consecutive addresses (one
// check and one copy), all other patterns (a place per lane), and local memory, which is laid out
// by words of all lanes.
#include <cstring>

#include "execute/local_memory.hpp"
#include "execute/memory_access.hpp"
#include "execute/peer_checks.hpp"

namespace gpusim::execute {
namespace {

template <class T>
T read_as(const std::byte* place) {
  T value;
  std::memcpy(&value, place, sizeof(T));
  return value;
}

template <class T, class Row, bool Signed>
void take_element(Context& context, Ref ref, LaneMask mask, std::byte* const* place,
                  std::size_t at) {
  Row* row = reinterpret_cast<Row*>(ref.resolve(context.frame));
  for_lanes(mask, [&](int lane) {
    const T value = read_as<T>(place[lane] + at);
    if constexpr (Signed) {
      row[lane] = static_cast<Row>(
          static_cast<std::make_signed_t<Row>>(static_cast<std::make_signed_t<T>>(value)));
    } else {
      row[lane] = value;
    }
  });
}

template <class T, class Row>
void take_typed(Context& context, const MemoryDetail& detail, LaneMask mask,
                std::byte* const* place) {
  for (std::size_t i = 0; i < detail.outputs.size(); ++i) {
    if (detail.sign_extend) {
      take_element<T, Row, true>(context, detail.outputs[i], mask, place, i * sizeof(T));
    } else {
      take_element<T, Row, false>(context, detail.outputs[i], mask, place, i * sizeof(T));
    }
  }
}

/// Memory to registers.
void take(Context& context, const MemoryDetail& detail, LaneMask mask, std::byte* const* place) {
  switch (detail.element_bytes) {
    case 1:
      return detail.wide_rows
                 ? take_typed<std::uint8_t, std::uint64_t>(context, detail, mask, place)
                 : take_typed<std::uint8_t, std::uint32_t>(context, detail, mask, place);
    case 2:
      return detail.wide_rows
                 ? take_typed<std::uint16_t, std::uint64_t>(context, detail, mask, place)
                 : take_typed<std::uint16_t, std::uint32_t>(context, detail, mask, place);
    case 4:
      return detail.wide_rows
                 ? take_typed<std::uint32_t, std::uint64_t>(context, detail, mask, place)
                 : take_typed<std::uint32_t, std::uint32_t>(context, detail, mask, place);
    default:
      return take_typed<std::uint64_t, std::uint64_t>(context, detail, mask, place);
  }
}

template <class T, class Row>
void give_typed(const Context& context, const MemoryDetail& detail, LaneMask mask,
                std::byte* const* place) {
  for (std::size_t i = 0; i < detail.inputs.size(); ++i) {
    const Row* row = reinterpret_cast<const Row*>(detail.inputs[i].resolve(context.frame));
    for_lanes(mask, [&](int lane) {
      const T value = static_cast<T>(row[lane]);
      std::memcpy(place[lane] + i * sizeof(T), &value, sizeof(T));
    });
  }
}

/// Registers to memory.
void give(const Context& context, const MemoryDetail& detail, LaneMask mask,
          std::byte* const* place) {
  switch (detail.element_bytes) {
    case 1:
      return detail.wide_rows
                 ? give_typed<std::uint8_t, std::uint64_t>(context, detail, mask, place)
                 : give_typed<std::uint8_t, std::uint32_t>(context, detail, mask, place);
    case 2:
      return detail.wide_rows
                 ? give_typed<std::uint16_t, std::uint64_t>(context, detail, mask, place)
                 : give_typed<std::uint16_t, std::uint32_t>(context, detail, mask, place);
    case 4:
      return detail.wide_rows
                 ? give_typed<std::uint32_t, std::uint64_t>(context, detail, mask, place)
                 : give_typed<std::uint32_t, std::uint32_t>(context, detail, mask, place);
    default:
      return give_typed<std::uint64_t, std::uint64_t>(context, detail, mask, place);
  }
}

/// Whether the registers' rows are of the elements' natural width.
bool plain_elements(const MemoryDetail& detail) {
  return detail.element_bytes == 8 || !detail.wide_rows;
}

/// Consecutive memory of a run of lanes to a row; `stride` bytes from lane to lane (0: uniform).
template <class T, class Row>
void spread(Row* row, const std::byte* place, const Run& run, std::size_t stride) {
  for (int lane = 0; lane < run.lanes; ++lane) {
    row[run.first + lane] =
        static_cast<Row>(read_as<T>(place + static_cast<std::size_t>(lane) * stride));
  }
}

/// One whole element per lane: the row as it is. All lanes are worth a copy of constant size.
void copy_run(std::byte* to, const std::byte* from, std::size_t element, int lanes) {
  if (lanes == kLanes && element == 4) {
    std::memcpy(to, from, 4 * kLanes);
  } else if (lanes == kLanes && element == 8) {
    std::memcpy(to, from, 8 * kLanes);
  } else {
    std::memcpy(to, from, element * static_cast<unsigned>(lanes));
  }
}

template <class T, class Row>
void take_run_typed(const Context& context, const MemoryDetail& detail, const std::byte* place,
                    const Run& run) {
  const std::size_t stride = run.uniform ? 0 : detail.width;
  for (std::size_t e = 0; e < detail.outputs.size(); ++e) {
    Row* row = reinterpret_cast<Row*>(detail.outputs[e].resolve(context.frame));
    spread<T, Row>(row, place + e * detail.element_bytes, run, stride);
  }
}

void take_run(const Context& context, const MemoryDetail& detail, const std::byte* place,
              const Run& run) {
  if (detail.count == 1 && detail.element_bytes >= 4 && !run.uniform) {
    const std::size_t bytes = detail.element_bytes;
    std::byte* row = detail.outputs[0].resolve(context.frame);
    copy_run(row + static_cast<unsigned>(run.first) * bytes, place, bytes, run.lanes);
    return;
  }
  switch (detail.element_bytes) {
    case 1:
      return detail.sign_extend
                 ? take_run_typed<std::int8_t, std::uint32_t>(context, detail, place, run)
                 : take_run_typed<std::uint8_t, std::uint32_t>(context, detail, place, run);
    case 2:
      return detail.sign_extend
                 ? take_run_typed<std::int16_t, std::uint32_t>(context, detail, place, run)
                 : take_run_typed<std::uint16_t, std::uint32_t>(context, detail, place, run);
    case 4:
      return take_run_typed<std::uint32_t, std::uint32_t>(context, detail, place, run);
    default:
      return take_run_typed<std::uint64_t, std::uint64_t>(context, detail, place, run);
  }
}

template <class T, class Row>
void give_run_typed(const Context& context, const MemoryDetail& detail, std::byte* place,
                    const Run& run) {
  for (std::size_t e = 0; e < detail.inputs.size(); ++e) {
    const Row* row = reinterpret_cast<const Row*>(detail.inputs[e].resolve(context.frame));
    std::byte* target = place + e * detail.element_bytes;
    for (int lane = 0; lane < run.lanes; ++lane) {
      const T value = static_cast<T>(row[run.first + lane]);
      std::memcpy(target + static_cast<std::size_t>(lane) * detail.width, &value, sizeof(T));
    }
  }
}

void give_run(const Context& context, const MemoryDetail& detail, std::byte* place,
              const Run& run) {
  if (detail.count == 1 && detail.element_bytes >= 4) {
    const std::size_t bytes = detail.element_bytes;
    const std::byte* row = detail.inputs[0].resolve(context.frame);
    copy_run(place, row + static_cast<unsigned>(run.first) * bytes, bytes, run.lanes);
    return;
  }
  switch (detail.element_bytes) {
    case 1:
      return give_run_typed<std::uint8_t, std::uint32_t>(context, detail, place, run);
    case 2:
      return give_run_typed<std::uint16_t, std::uint32_t>(context, detail, place, run);
    case 4:
      return give_run_typed<std::uint32_t, std::uint32_t>(context, detail, place, run);
    default:
      return give_run_typed<std::uint64_t, std::uint64_t>(context, detail, place, run);
  }
}

/// The same word of all lanes: rows move as they are.
bool local_row(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask,
               std::uint64_t address) {
  if (!op.a.absent() || address % 4 != 0 || detail.element_bytes < 4 ||
      (detail.element_bytes == 4 && detail.wide_rows) ||
      address + detail.width > local_bytes(*context.warp)) {
    return false;
  }
  Warp& warp = *context.warp;
  auto* words = reinterpret_cast<std::uint32_t*>(warp.local.data()) + address / 4 * kLanes;
  auto* written = reinterpret_cast<LaneMask*>(warp.local_written.data()) + address / 4;
  const std::size_t per_element = detail.element_bytes / 4;
  const auto& refs = detail.write ? detail.inputs : detail.outputs;
  if (!detail.write) {
    for (std::size_t w = 0; w < per_element * refs.size(); ++w) {
      if ((mask & ~written[w]) != 0) return false;
    }
  }
  for (const Ref ref : refs) {
    std::uint32_t* low = words;
    std::uint32_t* high = words + kLanes;
    if (per_element == 1) {
      std::uint32_t* row = context.row32(ref);
      std::uint32_t* d = detail.write ? low : row;
      const std::uint32_t* s = detail.write ? row : low;
      for (int i = 0; i < kLanes; ++i) d[i] = (mask >> i & 1) != 0 ? s[i] : d[i];
    } else if (detail.write) {
      const std::uint64_t* row = context.row64(ref);
      for (int i = 0; i < kLanes; ++i) {
        const bool on = (mask >> i & 1) != 0;
        low[i] = on ? static_cast<std::uint32_t>(row[i]) : low[i];
        high[i] = on ? static_cast<std::uint32_t>(row[i] >> 32) : high[i];
      }
    } else {
      std::uint64_t* row = context.row64(ref);
      for (int i = 0; i < kLanes; ++i) {
        const std::uint64_t value = std::uint64_t{high[i]} << 32 | low[i];
        row[i] = (mask >> i & 1) != 0 ? value : row[i];
      }
    }
    if (detail.write) {
      for (std::size_t w = 0; w < per_element; ++w) written[w] |= mask;
    }
    words += per_element * kLanes;
    written += per_element;
  }
  return true;
}

void access_local(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask,
                  const std::uint64_t* address) {
  context.counters.local_bytes +=
      static_cast<std::uint64_t>(__builtin_popcount(mask)) * detail.width;
  if (detail.frame_local && local_row(context, op, detail, mask, address[__builtin_ctz(mask)])) {
    return;
  }
  if (!check_local(context, op, detail, mask, address)) return;
  // Through a buffer: the words of a lane do not lie side by side.
  std::byte buffer[kLanes][32];
  std::byte* place[kLanes];
  for (int i = 0; i < kLanes; ++i) place[i] = buffer[i];
  if (detail.write) {
    give(context, detail, mask, place);
    for_lanes(mask, [&](int lane) {
      write_local(*context.warp, lane, address[lane], buffer[lane], detail.width);
    });
  } else {
    for_lanes(mask, [&](int lane) {
      read_local(*context.warp, lane, address[lane], buffer[lane], detail.width);
    });
    take(context, detail, mask, place);
  }
}

bool access_in(Context& context, const Op& op, const MemoryDetail& detail, ptx::Space space,
               LaneMask mask, const std::uint64_t* address) {
  std::byte* place[kLanes];
  switch (space) {
    case ptx::Space::kLocal:
      access_local(context, op, detail, mask, address);
      return context.event != Event::kFault;
    case ptx::Space::kShared:
      if (!resolve_shared(context, op, detail, mask, address, place)) return false;
      break;
    case ptx::Space::kParam:
      if (!resolve_parameter(context, op, detail, mask, address, place)) return false;
      break;
    default:
      if (!resolve_global(context, op, detail, mask, address, place)) return false;
      if (detail.strong && context.launch.peers != nullptr) {
        with_flags(context, op, detail, mask, address, [&](int lane) {
          if (detail.write) {
            give(context, detail, 1u << lane, place);
          } else {
            take(context, detail, 1u << lane, place);
          }
        });
        return true;
      }
  }
  if (detail.write) {
    give(context, detail, mask, place);
  } else {
    take(context, detail, mask, place);
  }
  return true;
}

void watch_poll(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask) {
  std::uint64_t sum = mask;
  for (const Ref ref : detail.outputs) {
    for_lanes(mask, [&](int lane) {
      const std::uint64_t value =
          detail.wide_rows ? context.row64(ref)[lane] : context.row32(ref)[lane];
      sum = sum * 0x9e3779b97f4a7c15ULL + value;
    });
  }
  note_poll(context, op, sum);
}

/// The fast way: active lanes stand side by side and touch consecutive elements, or all the same.
bool access_run(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask) {
  if (op.a.absent() || !plain_elements(detail)) return false;
  if (detail.strong && context.launch.peers != nullptr) return false;
  Run run;
  run.first = __builtin_ctz(mask);
  run.lanes = __builtin_popcount(mask);
  const LaneMask from_first = mask >> run.first;
  if ((from_first & (from_first + 1)) != 0) return false;  // a gap
  Pattern pattern = Pattern::kOther;
  if (detail.wide_address) {
    const std::uint64_t* row = context.row64(op.a);
    pattern = pattern_of(row, detail.width, mask);
    run.address = row[run.first];
  } else {
    const std::uint32_t* row = context.row32(op.a);
    pattern = pattern_of(row, std::uint32_t{detail.width}, mask);
    run.address = row[run.first];
  }
  run.address += static_cast<std::uint64_t>(detail.offset);
  run.uniform = pattern == Pattern::kUniform;
  if (pattern == Pattern::kOther || (run.uniform && detail.write && run.lanes > 1)) return false;
  ptx::Space space = detail.space;
  if (space == ptx::Space::kGeneric) {
    space = space_of(run.address);
    if (space == ptx::Space::kShared) run.address -= shared_window(*context.block);
  }
  std::byte* place = nullptr;
  if (space == ptx::Space::kGlobal || space == ptx::Space::kConst) {
    place = resolve_global_run(context, detail, run);
  } else if (space == ptx::Space::kShared) {
    place = resolve_shared_run(context, detail, run);
  }
  if (place == nullptr) return false;
  if (detail.write) {
    give_run(context, detail, place, run);
  } else {
    take_run(context, detail, place, run);
    if (detail.strong) watch_poll(context, op, detail, mask);
  }
  return true;
}

void access(Context& context, const Op& op, LaneMask mask) {
  const MemoryDetail& detail = op.as<MemoryDetail>();
  if (access_run(context, op, detail, mask)) return;
  Addresses addresses;
  collect_addresses(context, op, detail, mask, addresses);
  if (detail.space == ptx::Space::kGeneric) {
    by_space(context, mask, addresses.at, [&](ptx::Space found, LaneMask lanes) {
      return access_in(context, op, detail, found, lanes, addresses.at);
    });
  } else {
    access_in(context, op, detail, detail.space, mask, addresses.at);
  }
  if (detail.strong && !detail.write && context.event == Event::kNone) {
    watch_poll(context, op, detail, mask);
  }
}

/// A parameter of the entry at a fixed place: the same value for all lanes.
void load_parameter(Context& context, const Op& op, LaneMask mask) {
  const MemoryDetail& detail = op.as<MemoryDetail>();
  std::byte* place[kLanes];
  const auto& block = context.launch.request->parameters;
  const auto offset = static_cast<std::size_t>(detail.offset);
  if (offset + detail.width > block.size()) {
    context.fail(Fault::kIllegalAddress, op, __builtin_ctz(mask),
                 "reads beyond the kernel's parameters");
    return;
  }
  for (std::byte*& p : place) p = const_cast<std::byte*>(block.data()) + offset;
  take(context, detail, mask, place);
}

int element_bytes(const Decoder& decoder, bool& is_signed) {
  for (const std::string& m : decoder.instruction().modifiers) {
    is_signed = m == "s8" || m == "s16" || m == "s32" || m == "s64";
    if (m == "b8" || m == "u8" || m == "s8") return 1;
    if (m == "b16" || m == "u16" || m == "s16" || m == "f16" || m == "bf16") return 2;
    if (m == "b32" || m == "u32" || m == "s32" || m == "f32" || m == "f16x2" || m == "bf16x2") {
      return 4;
    }
    if (m == "b64" || m == "u64" || m == "s64" || m == "f64" || m == "f32x2") return 8;
  }
  decoder.unsupported("no type of at most 64 bits is named");
}

/// Modifiers that change nothing here: caches, scopes, types.
bool known_modifier(const std::string& m) {
  static const char* const kNames[] = {
      "global",  "shared",  "local", "const",   "param",   "generic", "volatile", "relaxed",
      "acquire", "release", "weak",  "nc",      "ca",      "cg",      "cs",       "lu",
      "cv",      "wb",      "wt",    "cta",     "cluster", "gpu",     "sys",      "mmio",
      "v2",      "v4",      "v8",    "unified", "b8",      "u8",      "s8",       "b16",
      "u16",     "s16",     "f16",   "bf16",    "b32",     "u32",     "s32",      "f32",
      "f16x2",   "bf16x2",  "b64",   "u64",     "s64",     "f64",     "f32x2",    "b128"};
  for (const char* name : kNames) {
    if (m == name) return true;
  }
  return m.starts_with("L1::") || m.starts_with("L2::") || m == "shared::cta" ||
         m == "shared::cluster" || m == "param::entry" || m == "param::func";
}

}  // namespace

bool decode_load_store(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  const bool load = i.opcode == "ld" || i.opcode == "ldu";
  if (!load && i.opcode != "st") return false;
  if (i.operands.size() < 2) decoder.unsupported("an address and a value are expected");
  MemoryDetail detail;
  for (const std::string& m : i.modifiers) {
    if (!known_modifier(m)) decoder.unsupported("modifier ." + m);
    if (m == "v2") detail.count = 2;
    if (m == "v4") detail.count = 4;
    if (m == "v8") detail.count = 8;
    if (m == "b128") decoder.unsupported("128-bit elements");
  }
  detail.element_bytes = static_cast<std::uint8_t>(element_bytes(decoder, detail.sign_extend));
  detail.width = static_cast<std::uint8_t>(detail.element_bytes * detail.count);
  detail.write = !load;
  detail.strong = i.has("volatile") || i.has("relaxed") || i.has("acquire") || i.has("release") ||
                  i.has("mmio");
  detail.acquire = i.has("acquire") || i.has("volatile");
  detail.release = i.has("release") || i.has("volatile");
  detail.acquires = i.has("acquire");
  detail.releases = i.has("release");
  detail.scope = scope_of(i);
  detail.space = memory_space(decoder);
  const ptx::Operand& data = i.operands[load ? 0 : 1];
  const bool vector = data.kind == ptx::Operand::Kind::kVector;
  const std::size_t elements = vector ? data.elements.size() : 1;
  if (elements != detail.count) decoder.unsupported("the vector has another number of elements");
  const Address address = bring_address(decoder, i.operands[load ? 1 : 0], detail);
  const auto element = [&](std::size_t e) -> const ptx::Operand& {
    return vector ? data.elements[e] : data;
  };
  // Registers may be wider than the type.
  int bits = detail.element_bytes == 8 ? 64 : 32;
  for (std::size_t e = 0; e < elements; ++e) {
    const int width = decoder.width(element(e));
    if (width == 64) bits = 64;
  }
  detail.wide_rows = bits == 64;
  detail.used = false;
  for (std::size_t e = 0; e < elements; ++e) {
    const ptx::Operand& operand = element(e);
    if (load) {
      detail.outputs.push_back(decoder.destination(operand, bits, detail.sign_extend));
      if (operand.kind == ptx::Operand::Kind::kRegister && elements == 1) {
        detail.used = decoder.used_beyond_stores(operand.index);
      }
    } else {
      detail.inputs.push_back(decoder.source(operand, bits));
    }
  }
  detail.site = decoder.new_site();
  const bool parameter = load && address.entry_parameter && address.row.absent();
  Op& op = decoder.emit_handler(parameter ? load_parameter : access);
  op.a = address.row;
  decoder.detail<MemoryDetail>(op) = std::move(detail);
  return true;
}

}  // namespace gpusim::execute
