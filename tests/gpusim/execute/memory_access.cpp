// Addresses of lanes, and what all spaces share.
#include "execute/memory_access.hpp"

#include <cstdio>
#include <cstring>

#include "execute/local_memory.hpp"

namespace gpusim::execute {

namespace {

/// Bit 0: not a run; bit 1: not uniform.
template <class T>
[[gnu::always_inline]] inline unsigned differences(const T* address, T stride, T first_address,
                                                   std::uint32_t first, LaneMask mask) {
  const T base = first_address - static_cast<T>(first) * stride;
  T run = 0, uniform = 0;
  if (mask == kAllLanes) {
    for (std::uint32_t i = 0; i < kLanes; ++i) {
      run |= address[i] ^ static_cast<T>(base + i * stride);
      uniform |= address[i] ^ first_address;
    }
  } else {
    for (std::uint32_t i = 0; i < kLanes; ++i) {
      const T active = static_cast<T>(0) - static_cast<T>(mask >> i & 1);
      run |= (address[i] ^ static_cast<T>(base + i * stride)) & active;
      uniform |= (address[i] ^ first_address) & active;
    }
  }
  return (run != 0 ? 1u : 0u) | (uniform != 0 ? 2u : 0u);
}

__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) unsigned compare_wide(
    const std::uint64_t* address, std::uint64_t stride, std::uint32_t first, LaneMask mask) {
  return differences(address, stride, address[first], first, mask);
}

__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) unsigned
compare_narrow(const std::uint32_t* address, std::uint32_t stride, std::uint32_t first,
               LaneMask mask) {
  return differences(address, stride, address[first], first, mask);
}

Pattern pattern_from(unsigned different) {
  if ((different & 2) == 0) return Pattern::kUniform;
  return (different & 1) == 0 ? Pattern::kRun : Pattern::kOther;
}

}  // namespace

Pattern pattern_of(const std::uint64_t* address, std::uint64_t stride, LaneMask mask) {
  const auto first = static_cast<std::uint32_t>(__builtin_ctz(mask));
  return pattern_from(compare_wide(address, stride, first, mask));
}

Pattern pattern_of(const std::uint32_t* address, std::uint32_t stride, LaneMask mask) {
  const auto first = static_cast<std::uint32_t>(__builtin_ctz(mask));
  return pattern_from(compare_narrow(address, stride, first, mask));
}

void collect_addresses(const Context& context, const Op& op, const MemoryDetail& detail,
                       LaneMask mask, Addresses& addresses) {
  (void)mask;
  const auto offset = static_cast<std::uint64_t>(detail.offset);
  if (op.a.absent()) {
    const std::uint64_t address = offset + (detail.frame_local ? context.group->local : 0);
    for (int i = 0; i < kLanes; ++i) addresses.at[i] = address;
  } else if (detail.wide_address) {
    const std::uint64_t* row = context.row64(op.a);
    for (int i = 0; i < kLanes; ++i) addresses.at[i] = row[i] + offset;
  } else {
    const std::uint32_t* row = context.row32(op.a);
    for (int i = 0; i < kLanes; ++i) addresses.at[i] = row[i] + offset;
  }
}

Address bring_address(Decoder& decoder, const ptx::Operand& operand, MemoryDetail& detail) {
  const Address address = decoder.address(operand);
  detail.wide_address = address.wide;
  detail.offset = address.offset;
  detail.frame_local = address.frame_local;
  detail.entry_parameter = address.entry_parameter;
  if (detail.space == ptx::Space::kParam) {
    // Parameters of a function, and those of calls, lie in local memory.
    const bool entry = address.entry_parameter || (!address.frame_local && decoder.function.entry);
    if (!entry) detail.space = ptx::Space::kLocal;
  }
  return address;
}

bool unordered(const MemoryDetail& detail) {
  return !detail.strong && !detail.atomic && detail.space != ptx::Space::kConst;
}

PeerScope scope_of(const ptx::Instruction& instruction) {
  const bool system =
      instruction.has("sys") || instruction.has("volatile") || instruction.has("mmio");
  return system ? PeerScope::kSystem : PeerScope::kDevice;
}

ptx::Space memory_space(const Decoder& decoder) {
  for (const std::string& m : decoder.instruction().modifiers) {
    if (m == "global") return ptx::Space::kGlobal;
    if (m.starts_with("shared")) return ptx::Space::kShared;
    if (m == "local") return ptx::Space::kLocal;
    if (m == "const") return ptx::Space::kConst;
    if (m.starts_with("param")) return ptx::Space::kParam;
  }
  return ptx::Space::kGeneric;
}

void note_poll(Context& context, const Op& op, std::uint64_t value) {
  constexpr std::uint32_t kPatience = 4;
  Group& group = *context.group;
  if (group.poll_op == &op && group.poll_value == value) {
    if (++group.polls >= kPatience && context.event == Event::kNone) {
      context.event = Event::kYield;
    }
    return;
  }
  group.poll_op = &op;
  group.poll_value = value;
  group.polls = 0;
}

bool resolve_parameter(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask,
                       const std::uint64_t* address, std::byte** place) {
  const auto& parameters = context.launch.request->parameters;
  bool good = true;
  for_lanes(mask, [&](int lane) {
    if (!good) return;
    if (detail.write || address[lane] + detail.width > parameters.size()) {
      context.fail(Fault::kIllegalAddress, op, lane,
                   detail.write ? "writes to the kernel's parameters"
                                : "reads beyond the kernel's parameters");
      good = false;
      return;
    }
    place[lane] = const_cast<std::byte*>(parameters.data()) + address[lane];
  });
  return good;
}

bool check_local(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask,
                 const std::uint64_t* address) {
  Warp& warp = *context.warp;
  const std::uint64_t size = context.group->local + context.group->code->local_words * 4;
  const auto* written = reinterpret_cast<const LaneMask*>(warp.local_written.data());
  bool good = true;
  for_lanes(mask, [&](int lane) {
    if (!good) return;
    const std::uint64_t at = address[lane];
    const auto alignment = static_cast<std::uint64_t>(detail.width);
    if (at + detail.width > size || at > size) {
      context.fail(Fault::kIllegalAddress, op, lane,
                   "local memory at offset " + std::to_string(at) + " is outside of the " +
                       std::to_string(size) + " bytes of the thread's stack");
      good = false;
    } else if (at % alignment != 0) {
      context.fail(Fault::kMisaligned, op, lane,
                   "local memory at offset " + std::to_string(at) + " is not aligned to " +
                       std::to_string(alignment) + " bytes");
      good = false;
    } else if (!detail.write && context.launch.options.check_initialised) {
      LaneMask all = 0, any = 0;
      all = ~all;
      for (std::uint64_t w = at / 4; w < (at + detail.width + 3) / 4; ++w) {
        all &= written[w];
        any |= written[w];
      }
      const LaneMask have = detail.used ? all : any;
      if ((have >> lane & 1) == 0) {
        context.report("uninitialised read", op, lane,
                       "local memory at offset " + std::to_string(at) + " was never written");
      }
    }
  });
  return good;
}

bool read_generic(Context& context, int lane, std::uint64_t address, void* out,
                  std::uint32_t bytes) {
  switch (space_of(address)) {
    case ptx::Space::kShared: {
      const std::uint64_t offset = (address - kSharedWindow) % kSharedSlot;
      if (offset + bytes > context.block->shared_bytes) return false;
      std::memcpy(out, context.block->shared.data() + offset, bytes);
      return true;
    }
    case ptx::Space::kLocal:
      if (address - kLocalWindow + bytes > local_bytes(*context.warp)) return false;
      read_local(*context.warp, lane, address - kLocalWindow, out, bytes);
      return true;
    case ptx::Space::kParam: {
      const auto& parameters = context.launch.request->parameters;
      const std::uint64_t offset = address - kParameterWindow;
      if (offset + bytes > parameters.size()) return false;
      std::memcpy(out, parameters.data() + offset, bytes);
      return true;
    }
    default: {
      const Allocation* allocation = AddressSpace::instance().find(address);
      if (allocation == nullptr || !allocation->contains(address, bytes)) return false;
      std::memcpy(out, allocation->at(address), bytes);
      return true;
    }
  }
}

std::string describe_address(std::uint64_t address, std::uint64_t bytes) {
  char text[64];
  std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(address));
  constexpr std::uint64_t kNullPage = 65536;
  if (address < kNullPage) {
    return std::string(text) + " is a null pointer" + (address == 0 ? "" : " plus an offset");
  }
  const AddressSpace& space = AddressSpace::instance();
  const Allocation* inside = space.find(address);
  if (inside != nullptr && inside->live && !inside->contains(address, bytes)) {
    return std::string(text) + ", " + std::to_string(bytes) +
           " bytes that reach beyond the end of " + inside->label + " (" +
           std::to_string(inside->bytes) + " bytes)";
  }
  return std::string(text) + " is " + space.describe(address);
}

}  // namespace gpusim::execute
