// atom and red. On global memory they are the host's atomic operations, so that blocks on several
// workers, other processes and the host see them as one; shared memory belongs to one worker.
#include <bit>
#include <cmath>
#include <cstring>

#include "execute/half.hpp"
#include "execute/memory_access.hpp"
#include "execute/peer_checks.hpp"

namespace gpusim::execute {
namespace {

/// New content from old content and operands.
template <class T>
using Update = T (*)(T old, T value, T compare);

template <class T, Update<T> F>
std::uint64_t apply(std::byte* place, std::uint64_t value, std::uint64_t compare) {
  auto* target = reinterpret_cast<T*>(place);
  T old = __atomic_load_n(target, __ATOMIC_SEQ_CST);
  while (true) {
    T fresh = F(old, static_cast<T>(value), static_cast<T>(compare));
    if (__atomic_compare_exchange_n(target, &old, fresh, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
      return old;
    }
  }
}

using AtomicFunction = std::uint64_t (*)(std::byte*, std::uint64_t, std::uint64_t);

template <class T>
T add(T a, T b, T) {
  return static_cast<T>(a + b);
}
template <class T>
T bit_and(T a, T b, T) {
  return a & b;
}
template <class T>
T bit_or(T a, T b, T) {
  return a | b;
}
template <class T>
T bit_xor(T a, T b, T) {
  return a ^ b;
}
template <class T>
T exchange(T, T b, T) {
  return b;
}
/// cas: `value` is what to compare with, `compare` the new content (the order of the operands).
template <class T>
T compare_and_swap(T a, T b, T c) {
  return a == b ? c : a;
}
template <class T>
T minimum(T a, T b, T) {
  return a < b ? a : b;
}
template <class T>
T maximum(T a, T b, T) {
  return a < b ? b : a;
}
template <class T>
T signed_minimum(T a, T b, T) {
  using S = std::make_signed_t<T>;
  return static_cast<S>(a) < static_cast<S>(b) ? a : b;
}
template <class T>
T signed_maximum(T a, T b, T) {
  using S = std::make_signed_t<T>;
  return static_cast<S>(a) < static_cast<S>(b) ? b : a;
}
std::uint32_t increment(std::uint32_t a, std::uint32_t b, std::uint32_t) {
  return a >= b ? 0 : a + 1;
}
std::uint32_t decrement(std::uint32_t a, std::uint32_t b, std::uint32_t) {
  return a == 0 || a > b ? b : a - 1;
}
std::uint32_t add_f32(std::uint32_t a, std::uint32_t b, std::uint32_t) {
  return std::bit_cast<std::uint32_t>(std::bit_cast<float>(a) + std::bit_cast<float>(b));
}
std::uint64_t add_f64(std::uint64_t a, std::uint64_t b, std::uint64_t) {
  return std::bit_cast<std::uint64_t>(std::bit_cast<double>(a) + std::bit_cast<double>(b));
}

enum class Half : std::uint8_t { kF16, kBf16 };
enum class HalfOp : std::uint8_t { kAdd, kMin, kMax };

template <Half Kind, HalfOp Operation>
std::uint16_t combine_half(std::uint16_t a, std::uint16_t b, std::uint16_t) {
  const float x = Kind == Half::kF16 ? float_of_half(a) : float_of_bfloat(a);
  const float y = Kind == Half::kF16 ? float_of_half(b) : float_of_bfloat(b);
  float result = 0;
  if constexpr (Operation == HalfOp::kAdd) {
    result = x + y;
  } else if constexpr (Operation == HalfOp::kMin) {
    result = std::fmin(x, y);
  } else {
    result = std::fmax(x, y);
  }
  return Kind == Half::kF16 ? half_of_float(result) : bfloat_of_float(result);
}

template <Half Kind, HalfOp Operation>
std::uint32_t combine_pair(std::uint32_t a, std::uint32_t b, std::uint32_t) {
  const auto part = [](std::uint32_t v, int shift) {
    return static_cast<std::uint16_t>(v >> shift);
  };
  const std::uint32_t low = combine_half<Kind, Operation>(part(a, 0), part(b, 0), 0);
  const std::uint32_t high = combine_half<Kind, Operation>(part(a, 16), part(b, 16), 0);
  return low | high << 16;
}

template <class T>
AtomicFunction integer_function(const ptx::Instruction& i, bool is_signed) {
  if (i.has("add")) return apply<T, add<T>>;
  if (i.has("and")) return apply<T, bit_and<T>>;
  if (i.has("or")) return apply<T, bit_or<T>>;
  if (i.has("xor")) return apply<T, bit_xor<T>>;
  if (i.has("exch")) return apply<T, exchange<T>>;
  if (i.has("cas")) return apply<T, compare_and_swap<T>>;
  if (i.has("min")) return is_signed ? apply<T, signed_minimum<T>> : apply<T, minimum<T>>;
  if (i.has("max")) return is_signed ? apply<T, signed_maximum<T>> : apply<T, maximum<T>>;
  return nullptr;
}

template <HalfOp Operation>
AtomicFunction half_function(const std::string& type) {
  if (type == "f16") return apply<std::uint16_t, combine_half<Half::kF16, Operation>>;
  if (type == "bf16") return apply<std::uint16_t, combine_half<Half::kBf16, Operation>>;
  if (type == "f16x2") return apply<std::uint32_t, combine_pair<Half::kF16, Operation>>;
  return apply<std::uint32_t, combine_pair<Half::kBf16, Operation>>;
}

struct Choice {
  AtomicFunction function = nullptr;
  int bytes = 4;
};

Choice choose(const ptx::Instruction& i, const std::string& type) {
  if (type == "f32") return {i.has("add") ? apply<std::uint32_t, add_f32> : nullptr, 4};
  if (type == "f64") return {i.has("add") ? apply<std::uint64_t, add_f64> : nullptr, 8};
  if (type == "f16" || type == "bf16" || type == "f16x2" || type == "bf16x2") {
    const int bytes = type.ends_with("x2") ? 4 : 2;
    if (i.has("add")) return {half_function<HalfOp::kAdd>(type), bytes};
    if (i.has("min")) return {half_function<HalfOp::kMin>(type), bytes};
    if (i.has("max")) return {half_function<HalfOp::kMax>(type), bytes};
    return {};
  }
  const bool is_signed = type[0] == 's';
  if (type == "b16") return {integer_function<std::uint16_t>(i, false), 2};
  if (type == "b32" || type == "u32" || type == "s32") {
    if (i.has("inc")) return {apply<std::uint32_t, increment>, 4};
    if (i.has("dec")) return {apply<std::uint32_t, decrement>, 4};
    return {integer_function<std::uint32_t>(i, is_signed), 4};
  }
  if (type == "b64" || type == "u64" || type == "s64") {
    return {integer_function<std::uint64_t>(i, is_signed), 8};
  }
  return {};
}

struct AtomicDetail : MemoryDetail {
  AtomicFunction function = nullptr;
};

void atomic(Context& context, const Op& op, LaneMask mask) {
  const auto& detail = op.as<AtomicDetail>();
  Addresses addresses;
  collect_addresses(context, op, detail, mask, addresses);
  const std::size_t elements = detail.count;
  const bool wide = detail.wide_rows;
  std::uint64_t poll = mask;
  const auto value_of = [&](Ref ref, int lane) -> std::uint64_t {
    return wide ? context.row64(ref)[lane] : context.row32(ref)[lane];
  };
  const auto run = [&](ptx::Space space, LaneMask lanes) {
    std::byte* place[kLanes];
    if (space == ptx::Space::kShared) {
      if (!resolve_shared(context, op, detail, lanes, addresses.at, place)) return false;
    } else if (space == ptx::Space::kGlobal) {
      if (!resolve_global(context, op, detail, lanes, addresses.at, place)) return false;
    } else {
      context.fail(Fault::kIllegalAddress, op, __builtin_ctz(lanes),
                   "an atomic operation on memory that is neither global nor shared");
      return false;
    }
    const auto act = [&](int lane) {
      for (std::size_t e = 0; e < elements; ++e) {
        const bool cas = detail.inputs.size() > elements;
        const std::uint64_t old = detail.function(
            place[lane] + e * detail.element_bytes, value_of(detail.inputs[e], lane),
            cas ? value_of(detail.inputs[elements + e], lane) : 0);
        poll = poll * 0x9e3779b97f4a7c15ULL + old;
        if (detail.outputs.empty()) continue;
        if (wide) {
          context.row64(detail.outputs[e])[lane] = old;
        } else {
          context.row32(detail.outputs[e])[lane] = static_cast<std::uint32_t>(old);
        }
      }
    };
    if (space == ptx::Space::kGlobal && context.launch.peers != nullptr) {
      with_flags(context, op, detail, lanes, addresses.at, act);
    } else {
      for_lanes(lanes, act);
    }
    return true;
  };
  if (detail.space == ptx::Space::kGeneric) {
    by_space(context, mask, addresses.at, run);
  } else {
    run(detail.space, mask);
  }
  context.counters.atomics += static_cast<std::uint64_t>(__builtin_popcount(mask));
  if (context.event == Event::kNone && !detail.outputs.empty()) note_poll(context, op, poll);
}

bool known_modifier(const std::string& m) {
  static const char* const kNames[] = {"global",
                                       "shared",
                                       "generic",
                                       "relaxed",
                                       "acquire",
                                       "release",
                                       "acq_rel",
                                       "sc",
                                       "cta",
                                       "cluster",
                                       "gpu",
                                       "sys",
                                       "add",
                                       "min",
                                       "max",
                                       "inc",
                                       "dec",
                                       "and",
                                       "or",
                                       "xor",
                                       "exch",
                                       "cas",
                                       "noftz",
                                       "v2",
                                       "v4",
                                       "v8",
                                       "async",
                                       "shared::cta",
                                       "shared::cluster",
                                       "ftz"};
  for (const char* name : kNames) {
    if (m == name) return true;
  }
  return m.starts_with("L2::");
}

}  // namespace

bool decode_atomic(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.opcode != "atom" && i.opcode != "red") return false;
  if (i.has("async")) decoder.unsupported("red.async");
  const bool returns = i.opcode == "atom";
  AtomicDetail detail;
  std::string type;
  for (const std::string& m : i.modifiers) {
    if (m == "v2") detail.count = 2;
    if (m == "v4") detail.count = 4;
    if (m == "v8") detail.count = 8;
    if (!known_modifier(m)) {
      if (!type.empty()) decoder.unsupported("modifier ." + m);
      type = m;
    }
  }
  if (type.empty()) decoder.unsupported("no type is named");
  const Choice choice = choose(i, type);
  if (choice.function == nullptr) decoder.unsupported("no such operation for ." + type);
  detail.function = choice.function;
  detail.element_bytes = static_cast<std::uint8_t>(choice.bytes);
  detail.width = static_cast<std::uint8_t>(choice.bytes * detail.count);
  detail.write = true;
  detail.atomic = true;
  detail.acquire = i.has("acquire") || i.has("acq_rel") || returns;
  detail.release = i.has("release") || i.has("acq_rel") || returns;
  detail.acquires = i.has("acquire") || i.has("acq_rel");
  detail.releases = i.has("release") || i.has("acq_rel");
  detail.scope = scope_of(i);
  detail.space = memory_space(decoder);
  detail.wide_rows = choice.bytes == 8;
  const int bits = choice.bytes == 8 ? 64 : 32;
  std::size_t next = returns ? 1 : 0;
  const std::size_t values = i.has("cas") ? 2 : 1;
  if (i.operands.size() < next + 1 + values) decoder.unsupported("operands are missing");
  const Address address = bring_address(decoder, i.operands[next++], detail);
  const auto each = [](const ptx::Operand& operand, auto f) {
    if (operand.kind == ptx::Operand::Kind::kVector) {
      for (const ptx::Operand& element : operand.elements) f(element);
    } else {
      f(operand);
    }
  };
  for (std::size_t v = 0; v < values; ++v) {
    each(i.operands[next++], [&](const ptx::Operand& operand) {
      detail.inputs.push_back(decoder.source(operand, bits));
    });
  }
  if (detail.inputs.size() != detail.count * values) {
    decoder.unsupported("the vector has another number of elements");
  }
  if (returns) {
    each(i.operands[0], [&](const ptx::Operand& operand) {
      detail.outputs.push_back(decoder.destination(operand, bits));
    });
  }
  detail.site = decoder.new_site();
  Op& op = decoder.emit_handler(atomic);
  op.a = address.row;
  decoder.detail<AtomicDetail>(op) = std::move(detail);
  return true;
}

}  // namespace gpusim::execute
