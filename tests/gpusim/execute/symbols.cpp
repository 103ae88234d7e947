// Reading what is known only at run time: addresses of variables and functions, of the running
// frame's local memory, and special registers.
#include <chrono>
#include <map>

#include "execute/decode/decoder.hpp"
#include "execute/spaces.hpp"

namespace gpusim::execute {
namespace {

struct SymbolDetail : Detail {
  int index = -1;
  std::uint64_t offset = 0;
};

template <class F>
void fill64(Context& context, const Op& op, LaneMask mask, F value) {
  std::uint64_t* d = context.row64(op.d);
  if (mask == kAllLanes) {
    for (int i = 0; i < kLanes; ++i) d[i] = value(i);
  } else {
    for_lanes(mask, [&](int lane) { d[lane] = value(lane); });
  }
}

template <class F>
void fill32(Context& context, const Op& op, LaneMask mask, F value) {
  std::uint32_t* d = context.row32(op.d);
  if (mask == kAllLanes) {
    for (int i = 0; i < kLanes; ++i) d[i] = value(i);
  } else {
    for_lanes(mask, [&](int lane) { d[lane] = value(lane); });
  }
}

void variable_address(Context& context, const Op& op, LaneMask mask) {
  const SymbolDetail& symbol = op.as<SymbolDetail>();
  const ModuleInstance& instance = *context.launch.request->module;
  const std::uint64_t address =
      instance.addresses[static_cast<std::size_t>(symbol.index)] + symbol.offset;
  fill64(context, op, mask, [address](int) { return address; });
}

void function_address(Context& context, const Op& op, LaneMask mask) {
  const SymbolDetail& symbol = op.as<SymbolDetail>();
  const std::uint64_t address = kFunctionBase +
                                (std::uint64_t{context.launch.request->module->number} << 24) +
                                16 * static_cast<std::uint64_t>(symbol.index) + symbol.offset;
  fill64(context, op, mask, [address](int) { return address; });
}

void local_address(Context& context, const Op& op, LaneMask mask) {
  const std::uint64_t address = context.group->local + op.as<SymbolDetail>().offset;
  fill64(context, op, mask, [address](int) { return address; });
}

void parameter_address(Context& context, const Op& op, LaneMask mask) {
  const std::uint64_t address = op.as<SymbolDetail>().offset;
  fill64(context, op, mask, [address](int) { return address; });
}

// Special registers. A reader gives the value for a lane.

template <int Axis>
void thread_index(Context& context, const Op& op, LaneMask mask) {
  const std::uint32_t* row =
      context.launch.thread_index[Axis].data() + context.warp->index * kLanes;
  fill32(context, op, mask, [row](int lane) { return row[lane]; });
}

/// A value that is the same in all lanes, or one that depends on the lane alone.
struct ValueDetail : Detail {
  std::uint32_t (*uniform)(const Context&) = nullptr;
  std::uint32_t (*by_lane)(int lane) = nullptr;
};

void uniform_value(Context& context, const Op& op, LaneMask mask) {
  const std::uint32_t value = op.as<ValueDetail>().uniform(context);
  fill32(context, op, mask, [value](int) { return value; });
}

void lane_value(Context& context, const Op& op, LaneMask mask) {
  const auto value = op.as<ValueDetail>().by_lane;
  fill32(context, op, mask, [value](int lane) { return value(lane); });
}

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

void global_timer(Context& context, const Op& op, LaneMask mask) {
  const std::uint64_t value = now_ns();
  fill64(context, op, mask, [value](int) { return value; });
}

/// Instructions that this worker has run, at least one per read: monotonic and repeatable.
std::uint64_t clock_value(const Context& context) {
  return context.counters.warp_instructions * 4;
}
void clock64(Context& context, const Op& op, LaneMask mask) {
  const std::uint64_t value = clock_value(context);
  fill64(context, op, mask, [value](int) { return value; });
}
void grid_id(Context& context, const Op& op, LaneMask mask) {
  fill64(context, op, mask, [](int) { return std::uint64_t{1}; });
}

Dim3 cluster_of(const Context& context) {
  return context.launch.request->cluster;
}

struct Special {
  std::uint32_t (*uniform)(const Context&) = nullptr;
  std::uint32_t (*by_lane)(int lane) = nullptr;
  Handler handler = nullptr;
  int bits = 32;
};

Special same(std::uint32_t (*value)(const Context&)) {
  return {value, nullptr, nullptr, 32};
}
Special each(std::uint32_t (*value)(int lane)) {
  return {nullptr, value, nullptr, 32};
}

void emit_reader(Decoder& decoder, Ref d, const Special& special) {
  const Handler handler = special.handler != nullptr   ? special.handler
                          : special.uniform != nullptr ? uniform_value
                                                       : lane_value;
  Op& op = decoder.emit_helper(handler);
  op.d = d;
  if (special.handler == nullptr) {
    ValueDetail& detail = decoder.detail<ValueDetail>(op);
    detail.uniform = special.uniform;
    detail.by_lane = special.by_lane;
  }
}

const std::map<std::string, Special>& specials() {
  using C = const Context&;
  static const std::map<std::string, Special> table = {
      {"%tid.x", Special{nullptr, nullptr, thread_index<0>, 32}},
      {"%tid.y", Special{nullptr, nullptr, thread_index<1>, 32}},
      {"%tid.z", Special{nullptr, nullptr, thread_index<2>, 32}},
      {"%ntid.x", same([](C c) { return c.launch.request->block.x; })},
      {"%ctaid.x", same([](C c) { return c.block->index.x; })},
      {"%nctaid.x", same([](C c) { return c.launch.request->grid.x; })},
      {"%cluster_ctaid.x", same([](C c) { return c.block->index.x % cluster_of(c).x; })},
      {"%cluster_nctaid.x", same([](C c) { return cluster_of(c).x; })},
      {"%clusterid.x", same([](C c) { return c.block->index.x / cluster_of(c).x; })},
      {"%nclusterid.x", same([](C c) { return c.launch.request->grid.x / cluster_of(c).x; })},
      {"%ntid.y", same([](C c) { return c.launch.request->block.y; })},
      {"%ctaid.y", same([](C c) { return c.block->index.y; })},
      {"%nctaid.y", same([](C c) { return c.launch.request->grid.y; })},
      {"%cluster_ctaid.y", same([](C c) { return c.block->index.y % cluster_of(c).y; })},
      {"%cluster_nctaid.y", same([](C c) { return cluster_of(c).y; })},
      {"%clusterid.y", same([](C c) { return c.block->index.y / cluster_of(c).y; })},
      {"%nclusterid.y", same([](C c) { return c.launch.request->grid.y / cluster_of(c).y; })},
      {"%ntid.z", same([](C c) { return c.launch.request->block.z; })},
      {"%ctaid.z", same([](C c) { return c.block->index.z; })},
      {"%nctaid.z", same([](C c) { return c.launch.request->grid.z; })},
      {"%cluster_ctaid.z", same([](C c) { return c.block->index.z % cluster_of(c).z; })},
      {"%cluster_nctaid.z", same([](C c) { return cluster_of(c).z; })},
      {"%clusterid.z", same([](C c) { return c.block->index.z / cluster_of(c).z; })},
      {"%nclusterid.z", same([](C c) { return c.launch.request->grid.z / cluster_of(c).z; })},
      {"%laneid", each([](int lane) { return static_cast<std::uint32_t>(lane); })},
      {"%lanemask_eq", each([](int lane) { return 1u << lane; })},
      {"%lanemask_lt", each([](int lane) { return (1u << lane) - 1; })},
      {"%lanemask_le", each([](int lane) { return (2u << lane) - 1; })},
      {"%lanemask_gt", each([](int lane) { return ~((2u << lane) - 1); })},
      {"%lanemask_ge", each([](int lane) { return ~((1u << lane) - 1); })},
      {"%warpid", same([](C c) { return static_cast<std::uint32_t>(c.warp->index); })},
      {"%nwarpid", same([](C c) {
         return static_cast<std::uint32_t>(c.launch.device->threads_per_multiprocessor / kLanes);
       })},
      {"%smid", same([](C c) { return c.block->multiprocessor; })},
      {"%nsmid",
       same([](C c) { return static_cast<std::uint32_t>(c.launch.device->multiprocessors); })},
      {"%gridid", Special{nullptr, nullptr, grid_id, 64}},
      {"%clock64", Special{nullptr, nullptr, clock64, 64}},
      {"%globaltimer", Special{nullptr, nullptr, global_timer, 64}},
      {"%clock", same([](C c) { return static_cast<std::uint32_t>(clock_value(c)); })},
      {"%clock_hi", same([](C c) { return static_cast<std::uint32_t>(clock_value(c) >> 32); })},
      {"%globaltimer_lo", same([](C) { return static_cast<std::uint32_t>(now_ns()); })},
      {"%globaltimer_hi", same([](C) { return static_cast<std::uint32_t>(now_ns() >> 32); })},
      {"%envreg1",
       same([](C c) { return static_cast<std::uint32_t>(c.launch.grid_workspace >> 32); })},
      {"%envreg2", same([](C c) { return static_cast<std::uint32_t>(c.launch.grid_workspace); })},
      {"%reserved_smem_offset_begin", same([](C) { return 0u; })},
      {"%reserved_smem_offset_end", same([](C) { return std::uint32_t{kSharedReserved}; })},
      {"%reserved_smem_offset_cap", same([](C) { return std::uint32_t{kSharedReserved}; })},
      {"%reserved_smem_offset_0", same([](C) { return 0u; })},
      {"%reserved_smem_offset_1", same([](C) { return 256u; })},
      {"%total_smem_size", same([](C c) { return c.launch.shared_bytes - kSharedReserved; })},
      {"%aggr_smem_size", same([](C c) { return c.launch.shared_bytes; })},
      {"%dynamic_smem_size", same([](C c) { return c.launch.request->dynamic_shared_bytes; })},
      {"%is_explicit_cluster", same([](C c) { return c.launch.cluster_blocks > 1 ? 1u : 0u; })},
      {"%cluster_ctarank", same([](C c) { return c.block->cluster_rank; })},
      {"%cluster_nctarank", same([](C c) { return c.launch.cluster_blocks; })},
  };
  return table;
}

void set_predicate(Context& context, const Op& op, LaneMask mask) {
  const LaneMask value = context.launch.cluster_blocks > 1 ? kAllLanes : 0;
  LaneMask& d = context.predicate(op.d);
  d = (d & ~mask) | (value & mask);
}

void widen_row(Context& context, const Op& op, LaneMask mask) {
  const std::uint32_t* a = context.row32(op.a);
  fill64(context, op, mask, [a](int lane) { return std::uint64_t{a[lane]}; });
}

void narrow_row(Context& context, const Op& op, LaneMask mask) {
  const std::uint64_t* a = context.row64(op.a);
  fill32(context, op, mask, [a](int lane) { return static_cast<std::uint32_t>(a[lane]); });
}

}  // namespace

void emit_symbol(Decoder& decoder, Ref d, const ptx::Operand& operand) {
  using OperandKind = ptx::Operand::Kind;
  const auto index = static_cast<std::size_t>(operand.index);
  std::uint64_t offset = static_cast<std::uint64_t>(operand.offset);
  Handler handler = nullptr;
  switch (operand.kind) {
    case OperandKind::kVariable:
      handler = variable_address;
      break;
    case OperandKind::kFunction:
      handler = function_address;
      break;
    case OperandKind::kLocal:
      handler = local_address;
      offset += decoder.code.local_offsets[index];
      break;
    case OperandKind::kResult:
      handler = local_address;
      offset += decoder.code.result_offsets[index];
      break;
    case OperandKind::kParameter:
      if (decoder.function.entry) {
        handler = parameter_address;
        offset += decoder.function.parameters[index].offset;
      } else {
        handler = local_address;
        offset += decoder.code.parameter_offsets[index];
      }
      break;
    default:
      decoder.unsupported("unexpected kind of symbol");
  }
  Op& op = decoder.emit_helper(handler);
  SymbolDetail& detail = decoder.detail<SymbolDetail>(op);
  detail.index = operand.index;
  detail.offset = offset;
  op.d = d;
}

void emit_special(Decoder& decoder, Ref d, const std::string& name, int bits) {
  if (name == "%is_explicit_cluster" && bits == 1) {
    decoder.emit_helper(set_predicate).d = d;
    return;
  }
  Special special;
  if (name == "WARP_SZ") {
    special = same([](const Context&) { return static_cast<std::uint32_t>(kLanes); });
  } else {
    const auto found = specials().find(name);
    if (found == specials().end()) decoder.unsupported("unknown special register " + name);
    special = found->second;
  }
  if (special.bits == bits) {
    emit_reader(decoder, d, special);
    return;
  }
  const Ref value = decoder.temporary(special.bits);
  emit_reader(decoder, value, special);
  Op& op = decoder.emit_helper(bits == 64 ? widen_row : narrow_row);
  op.d = d;
  op.a = value;
}

}  // namespace gpusim::execute
