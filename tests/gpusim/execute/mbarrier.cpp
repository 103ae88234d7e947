// mbarrier: arrivals and bytes counted in a 64-bit word of shared memory. The word's layout is this
// simulator's own: pending and expected arrivals (20 bits each), bytes outstanding (21 bits,
// biased), the phase, and a mark that it has been initialised.
#include <algorithm>
#include <cstring>

#include "execute/async.hpp"
#include "execute/memory_access.hpp"

namespace gpusim::execute {
namespace {

constexpr std::uint64_t kCountMask = (1 << 20) - 1;
constexpr std::int64_t kBytesBias = 1 << 20;

struct Mbarrier {
  std::uint32_t pending = 0, expected = 0;
  std::int64_t bytes = 0;
  bool phase = false;
  bool valid = false;
};

Mbarrier unpack(std::uint64_t word) {
  Mbarrier m;
  m.pending = static_cast<std::uint32_t>(word & kCountMask);
  m.expected = static_cast<std::uint32_t>(word >> 20 & kCountMask);
  m.bytes = static_cast<std::int64_t>(word >> 40 & ((1 << 21) - 1)) - kBytesBias;
  m.phase = (word >> 61 & 1) != 0;
  m.valid = word >> 62 == 1;
  return m;
}

std::uint64_t pack(const Mbarrier& m) {
  return (m.pending & kCountMask) | (std::uint64_t{m.expected} & kCountMask) << 20 |
         (static_cast<std::uint64_t>(m.bytes + kBytesBias) & ((1 << 21) - 1)) << 40 |
         std::uint64_t{m.phase} << 61 | 1ULL << 62;
}

Mbarrier load(const std::byte* place) {
  std::uint64_t word = 0;
  std::memcpy(&word, place, sizeof(word));
  return unpack(word);
}

void store(std::byte* place, Mbarrier m) {
  if (m.pending == 0 && m.bytes == 0) {
    m.phase = !m.phase;
    m.pending = m.expected;
  }
  const std::uint64_t word = pack(m);
  std::memcpy(place, &word, sizeof(word));
}

enum class Action : std::uint8_t {
  kInit,
  kInvalidate,
  kArrive,
  kArriveDrop,
  kExpect,
  kComplete,
  kTestWait,
  kPendingCount
};

struct MbarrierDetail : MemoryDetail {
  Action action = Action::kArrive;
  bool expects = false;  ///< arrive.expect_tx: op.b is bytes
  bool parity = false;
};

/// The barrier's place, after a check that it has been initialised.
std::byte* find_barrier(Context& context, const Op& op, int lane, std::uint64_t address,
                        Action action, Block*& owner, std::uint64_t& offset) {
  owner = shared_owner(context, address, offset);
  if (owner == nullptr || offset + 8 > owner->shared_bytes || offset % 8 != 0) {
    context.fail(offset % 8 != 0 ? Fault::kMisaligned : Fault::kIllegalAddress, op, lane,
                 "an mbarrier at offset " + std::to_string(offset) + " of shared memory");
    return nullptr;
  }
  std::byte* place = owner->shared.data() + offset;
  if (action != Action::kInit && !load(place).valid) {
    context.fail(Fault::kTrap, op, lane,
                 "the mbarrier at offset " + std::to_string(offset) +
                     " of shared memory has not been initialised");
    return nullptr;
  }
  return place;
}

void too_many(Context& context, const Op& op, int lane, const Mbarrier& m, std::uint32_t count) {
  context.fail(Fault::kTrap, op, lane,
               std::to_string(count) + " arrivals on an mbarrier that waits for " +
                   std::to_string(m.pending));
}

/// One lane's operation; true for a wait that has succeeded.
bool act(Context& context, const Op& op, const MbarrierDetail& detail, int lane,
         std::uint64_t address) {
  Block* owner = nullptr;
  std::uint64_t offset = 0;
  std::byte* place = find_barrier(context, op, lane, address, detail.action, owner, offset);
  if (place == nullptr) return false;
  Mbarrier m = load(place);
  switch (detail.action) {
    case Action::kInit:
      m = Mbarrier{};
      m.expected = m.pending = context.row32(op.b)[lane];
      if (m.expected == 0 || m.expected > kCountMask) {
        context.fail(Fault::kTrap, op, lane,
                     "an mbarrier for " + std::to_string(m.expected) + " arrivals");
        return false;
      }
      store(place, m);
      mark_shared_written(*owner, offset, 8, true);
      return false;
    case Action::kInvalidate:
      std::memset(place, 0, 8);
      return false;
    case Action::kArrive:
    case Action::kArriveDrop: {
      const std::uint32_t operand = op.b.absent() ? 1 : context.row32(op.b)[lane];
      const std::uint32_t count = detail.expects ? 1 : operand;
      if (!op.d.absent()) {
        std::uint64_t state = 0;
        std::memcpy(&state, place, sizeof(state));
        context.row64(op.d)[lane] = state;
      }
      if (detail.expects) m.bytes += operand;
      if (count > m.pending) {
        too_many(context, op, lane, m, count);
        return false;
      }
      m.pending -= count;
      if (detail.action == Action::kArriveDrop) m.expected -= std::min(count, m.expected);
      store(place, m);
      return false;
    }
    case Action::kExpect:
      m.bytes += context.row32(op.b)[lane];
      store(place, m);
      return false;
    case Action::kComplete:
      m.bytes -= context.row32(op.b)[lane];
      store(place, m);
      return false;
    case Action::kPendingCount:
      return false;
    case Action::kTestWait: {
      deliver_for(context, *owner, static_cast<std::uint32_t>(offset));
      m = load(place);
      if (detail.parity) {
        // Done once the phase of that parity is over.
        const bool parity = (context.row32(op.b)[lane] & 1) != 0;
        return m.phase != parity;
      }
      return m.phase != unpack(context.row64(op.b)[lane]).phase;
    }
  }
  return false;
}

void mbarrier(Context& context, const Op& op, LaneMask mask) {
  const auto& detail = op.as<MbarrierDetail>();
  Addresses addresses;
  collect_addresses(context, op, detail, mask, addresses);
  if (detail.space == ptx::Space::kGeneric) {
    by_space(context, mask, addresses.at, [](ptx::Space, LaneMask) { return true; });
  }
  LaneMask done = 0;
  for_lanes(mask, [&](int lane) {
    if (context.event == Event::kFault) return;
    if (act(context, op, detail, lane, addresses.at[lane])) done |= 1u << lane;
  });
  if (context.event == Event::kFault) return;
  const int warp = context.warp->index;
  if (detail.action != Action::kTestWait) {
    context.block->races.release(warp);
    context.block->peers.shared_release(warp);
    return;
  }
  if (done != 0) {
    context.block->races.acquire(warp);
    context.block->peers.shared_acquire(warp);
  }
  LaneMask& p = context.predicate(op.d2);
  p = (p & ~mask) | done;
  if (done != mask) context.event = Event::kYield;
}

void pending_count(Context& context, const Op& op, LaneMask mask) {
  const std::uint64_t* state = context.row64(op.a);
  std::uint32_t* d = context.row32(op.d);
  for_lanes(mask, [&](int lane) { d[lane] = unpack(state[lane]).pending; });
}

void decode_pending_count(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  const Ref state = decoder.source(i.operands.at(1), 64);
  const Ref d = decoder.destination(i.operands.at(0), 32);
  Op& op = decoder.emit_handler(pending_count);
  op.a = state;
  op.d = d;
}

Action action_of(const Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.has("init")) return Action::kInit;
  if (i.has("inval")) return Action::kInvalidate;
  if (i.has("arrive_drop")) return Action::kArriveDrop;
  if (i.has("arrive")) return Action::kArrive;
  if (i.has("expect_tx")) return Action::kExpect;
  if (i.has("complete_tx")) return Action::kComplete;
  if (i.has("test_wait") || i.has("try_wait")) return Action::kTestWait;
  decoder.unsupported("an unknown operation on an mbarrier");
}

}  // namespace

std::byte* mbarrier_place(Context& context, const Op& op, int lane, std::uint64_t address) {
  Block* owner = nullptr;
  std::uint64_t offset = 0;
  return find_barrier(context, op, lane, address, Action::kArrive, owner, offset);
}

void mbarrier_arrive(std::byte* place, std::uint32_t count) {
  Mbarrier m = load(place);
  m.pending -= std::min(count, m.pending);
  store(place, m);
}

void mbarrier_add_pending(std::byte* place) {
  Mbarrier m = load(place);
  ++m.pending;
  store(place, m);
}

void mbarrier_complete_bytes(std::byte* place, std::uint32_t bytes) {
  Mbarrier m = load(place);
  m.bytes -= bytes;
  store(place, m);
}

bool decode_mbarrier(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.opcode != "mbarrier") return false;
  if (i.has("pending_count")) {
    decode_pending_count(decoder);
    return true;
  }
  MbarrierDetail detail;
  detail.action = action_of(decoder);
  detail.space = memory_space(decoder);
  detail.parity = i.has("parity");
  const bool arrives = detail.action == Action::kArrive || detail.action == Action::kArriveDrop;
  detail.expects = arrives && i.has("expect_tx");
  // Whatever stands before the address is the result.
  std::size_t next = 0;
  const ptx::Operand* result = nullptr;
  if (!i.operands.empty() && i.operands[0].kind != ptx::Operand::Kind::kAddress) {
    result = &i.operands[next++];
  }
  if (next >= i.operands.size()) decoder.unsupported("the address is missing");
  const Address address = bring_address(decoder, i.operands[next++], detail);
  Ref value, d, done;
  if (next < i.operands.size()) {
    const bool state = detail.action == Action::kTestWait && !detail.parity;
    value = decoder.source(i.operands[next], state ? 64 : 32);
  }
  const bool needs_value = detail.action == Action::kInit || detail.action == Action::kExpect ||
                           detail.action == Action::kComplete ||
                           detail.action == Action::kTestWait || detail.expects;
  if (needs_value && value.absent()) decoder.unsupported("an operand is missing");
  if (detail.action == Action::kTestWait) {
    if (result == nullptr) decoder.unsupported("the result is missing");
    done = decoder.destination(*result, 1);
  } else if (result != nullptr && arrives && result->kind == ptx::Operand::Kind::kRegister) {
    d = decoder.destination(*result, 64);
  }
  Op& op = decoder.emit_handler(mbarrier);
  op.a = address.row;
  op.b = value;
  op.d = d;
  op.d2 = done;
  decoder.detail<MbarrierDetail>(op) = detail;
  return true;
}

}  // namespace gpusim::execute
