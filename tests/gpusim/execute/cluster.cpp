// Addresses in the shared memory of other blocks of a cluster: mapa and getctarank. Shared
// addresses carry the rank + 1 above the offset, generic ones lie in the window of the rank.
#include "execute/decode/decoder.hpp"
#include "execute/spaces.hpp"

namespace gpusim::execute {
namespace {

struct ClusterDetail : Detail {
  bool wide = true;
  bool shared = false;  ///< shared::cluster addresses, not generic ones
};

constexpr std::uint64_t kOffsetMask = (1ULL << kClusterShift) - 1;

void map_address(Context& context, const Op& op, LaneMask mask) {
  const auto& detail = op.as<ClusterDetail>();
  const std::uint32_t* rank = context.row32(op.b);
  for_lanes(mask, [&](int lane) {
    if (context.event == Event::kFault) return;
    if (rank[lane] >= context.launch.cluster_blocks) {
      context.fail(Fault::kIllegalAddress, op, lane,
                   "mapa names block " + std::to_string(rank[lane]) + " of a cluster of " +
                       std::to_string(context.launch.cluster_blocks));
      return;
    }
    const std::uint64_t a = detail.wide ? context.row64(op.a)[lane] : context.row32(op.a)[lane];
    const std::uint64_t result =
        detail.shared
            ? (a & kOffsetMask) | (std::uint64_t{rank[lane]} + 1) << kClusterShift
            : kSharedWindow + rank[lane] * kSharedSlot + (a - kSharedWindow) % kSharedSlot;
    if (detail.wide) {
      context.row64(op.d)[lane] = result;
    } else {
      context.row32(op.d)[lane] = static_cast<std::uint32_t>(result);
    }
  });
}

void rank_of_address(Context& context, const Op& op, LaneMask mask) {
  const auto& detail = op.as<ClusterDetail>();
  std::uint32_t* d = context.row32(op.d);
  for_lanes(mask, [&](int lane) {
    const std::uint64_t a = detail.wide ? context.row64(op.a)[lane] : context.row32(op.a)[lane];
    if (detail.shared) {
      const std::uint64_t field = a >> kClusterShift;
      d[lane] = field == 0 ? context.block->cluster_rank : static_cast<std::uint32_t>(field - 1);
    } else {
      d[lane] = static_cast<std::uint32_t>((a - kSharedWindow) / kSharedSlot);
    }
  });
}

}  // namespace

bool decode_cluster(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  const bool map = i.opcode == "mapa";
  if (!map && i.opcode != "getctarank") return false;
  if (i.operands.size() != (map ? 3u : 2u)) decoder.unsupported("operands are missing");
  ClusterDetail detail;
  detail.shared = i.has("shared::cluster");
  // getctarank gives a 32-bit number; .u64 is the address's width.
  detail.wide = i.has("u64");
  const int bits = detail.wide ? 64 : 32;
  const Ref a = decoder.source(i.operands[1], bits);
  Ref rank;
  if (map) rank = decoder.source(i.operands[2], 32);
  const Ref d = decoder.destination(i.operands[0], map ? bits : 32);
  Op& op = decoder.emit_handler(map ? map_address : rank_of_address);
  decoder.detail<ClusterDetail>(op) = detail;
  op.a = a;
  op.b = rank;
  op.d = d;
  return true;
}

}  // namespace gpusim::execute
