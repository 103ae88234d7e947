// Accesses to shared memory: bounds, alignment, initialisation, races, bank conflicts.
#include <algorithm>
#include <cstring>

#include "execute/memory_access.hpp"

namespace gpusim::execute {
namespace {

std::string describe_shared(const Context& context, std::uint64_t offset) {
  const Program& program = *context.launch.program;
  const auto& variables = program.module->variables;
  std::string name = "shared memory";
  std::uint64_t best = 0;
  for (std::size_t v = 0; v < variables.size(); ++v) {
    const std::uint32_t at = program.shared_offsets[v];
    if (at == ~0u || at > offset || at < best) continue;
    best = at;
    name = "shared " + variables[v].name;
  }
  if (best == 0) return name + " at offset " + std::to_string(offset);
  return name + " at byte " + std::to_string(offset - best);
}

/// Wavefronts of one phase: most different words that fall into one bank.
std::uint64_t phase_conflicts(const std::uint64_t* word, int count) {
  std::uint64_t seen[32][kLanes];
  std::uint8_t used[32] = {};
  std::uint64_t most = 1;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t bank = word[i] % 32;
    bool repeated = false;
    for (int k = 0; k < used[bank]; ++k) repeated = repeated || seen[bank][k] == word[i];
    if (repeated) continue;
    seen[bank][used[bank]++] = word[i];
    most = std::max<std::uint64_t>(most, used[bank]);
  }
  return most;
}

void report_conflict(Context& context, const Op& op, int lane, std::uint64_t offset,
                     const check::SharedConflict& conflict, bool write) {
  const Launch& launch = context.launch;
  const Warp& other = *context.block->warps[static_cast<std::size_t>(conflict.other_warp)];
  std::string who = "a thread of warp " + std::to_string(conflict.other_warp);
  if (conflict.other_lane >= 0) {
    const Dim3 t = thread_of(launch, other, conflict.other_lane);
    who = "thread (" + std::to_string(t.x) + "," + std::to_string(t.y) + "," + std::to_string(t.z) +
          ")";
  }
  context.report("shared memory race", op, lane,
                 std::string(write ? "write to " : "read of ") + describe_shared(context, offset) +
                     " races with a " + (conflict.other_wrote ? "write" : "read") + " by " + who +
                     ": no barrier between them");
}

/// Whether all bits of a range are set.
bool bits_set(const std::vector<std::uint64_t>& bits, std::uint64_t offset, std::uint64_t bytes) {
  for (std::uint64_t i = offset; i < offset + bytes;) {
    const std::uint64_t bit = i % 64;
    const std::uint64_t width = std::min<std::uint64_t>(64 - bit, offset + bytes - i);
    const std::uint64_t mask = (width == 64 ? ~0ULL : (1ULL << width) - 1) << bit;
    if ((bits[i / 64] & mask) != mask) return false;
    i += width;
  }
  return true;
}

bool any_bit(const std::vector<std::uint64_t>& bits, std::uint64_t offset, std::uint64_t bytes) {
  for (std::uint64_t i = offset; i < offset + bytes; ++i) {
    if ((bits[i / 64] >> (i % 64) & 1) != 0) return true;
  }
  return false;
}

/// Whether a lower lane of the same instruction stores to the address of `lane`.
bool stored_before(LaneMask mask, const std::uint64_t* address, int lane) {
  bool found = false;
  for_lanes(mask & ((1u << lane) - 1),
            [&](int other) { found = found || address[other] == address[lane]; });
  return found;
}

/// Whether a copy that nobody has waited for yet will write the byte.
bool copy_pending(const Block& block, std::uint64_t offset) {
  const auto covers = [offset](const AsyncCopy& copy) {
    bool found = false;
    for_lanes(copy.lanes, [&](int lane) {
      found = found || (offset >= copy.destination[lane] &&
                        offset < copy.destination[lane] + std::uint64_t{copy.bytes});
    });
    return found;
  };
  for (const PendingBulk& pending : block.bulk) {
    const BulkCopy& copy = pending.copy;
    if (offset >= copy.shared && offset < copy.shared + std::uint64_t{copy.bytes}) return true;
  }
  for (int w = 0; w < block.warp_count; ++w) {
    const AsyncCopies& copies = block.warps[static_cast<std::size_t>(w)]->copies;
    for (const AsyncCopy& copy : copies.open) {
      if (covers(copy)) return true;
    }
    for (const AsyncGroup& group : copies.groups) {
      for (const AsyncCopy& copy : group.copies) {
        if (covers(copy)) return true;
      }
    }
  }
  return false;
}

void report_unwritten(Context& context, const Op& op, int lane, const Block& owner,
                      std::uint64_t offset, std::uint64_t bytes) {
  const std::string what =
      "read of " + std::to_string(bytes) + " bytes of " + describe_shared(context, offset);
  if (copy_pending(owner, offset)) {
    context.report("read before an asynchronous copy is complete", op, lane,
                   what + ": the copy into it has not been waited for");
  } else {
    context.report("uninitialised read", op, lane, what + ", never written");
  }
}

/// Lanes of one instruction that store different values to one word.
void check_colliding_stores(Context& context, const Op& op, const MemoryDetail& detail,
                            LaneMask mask, const std::uint64_t* offset) {
  // Quick way out: strictly ascending addresses cannot collide.
  bool ascending = true;
  std::uint64_t previous = 0;
  bool first = true;
  for_lanes(mask, [&](int lane) {
    if (!first && offset[lane] <= previous) ascending = false;
    previous = offset[lane];
    first = false;
  });
  if (ascending || detail.inputs.empty()) return;
  for_lanes(mask, [&](int lane) {
    for_lanes(mask & ((1u << lane) - 1), [&](int other) {
      if (offset[other] != offset[lane]) return;
      for (const Ref ref : detail.inputs) {
        const std::uint64_t a =
            detail.wide_rows ? context.row64(ref)[lane] : context.row32(ref)[lane];
        const std::uint64_t b =
            detail.wide_rows ? context.row64(ref)[other] : context.row32(ref)[other];
        if (a != b) {
          context.report("shared memory race", op, lane,
                         "lanes " + std::to_string(other) + " and " + std::to_string(lane) +
                             " store different values to " +
                             describe_shared(context, offset[lane]) + " in one instruction");
          return;
        }
      }
    });
  });
}

}  // namespace

/// Ideal number of wavefronts and the real one. Accesses of 8 and 16 bytes go by half and quarter
/// warps.
void count_banks(Context& context, int width, LaneMask mask, const std::uint64_t* offset) {
  const int words = std::max(1, width / 4);
  const int lanes_per_phase = std::max(1, kLanes / words);
  KernelCounters& c = context.counters;
  for (int first = 0; first < kLanes; first += lanes_per_phase) {
    const LaneMask lanes =
        mask & (lanes_per_phase == 32 ? kAllLanes : ((1u << lanes_per_phase) - 1) << first);
    if (lanes == 0) continue;
    std::uint64_t word[kLanes * 2];
    int count = 0;
    bool ascending = true;
    for_lanes(lanes, [&](int lane) {
      for (int w = 0; w < words && count < kLanes; ++w) {
        word[count] = offset[lane] / 4 + static_cast<std::uint64_t>(w);
        ascending = ascending && (count == 0 || word[count] == word[count - 1] ||
                                  word[count] == word[count - 1] + 1);
        ++count;
      }
    });
    ++c.shared_requests;
    c.shared_wavefronts += ascending ? 1 : phase_conflicts(word, count);
  }
}

Block* shared_owner(Context& context, std::uint64_t address, std::uint64_t& offset) {
  offset = address & ((1ULL << kClusterShift) - 1);
  const std::uint64_t rank = address >> kClusterShift;
  if (rank == 0) return context.block;
  if (context.block->cluster.empty()) return rank == 1 ? context.block : nullptr;
  if (rank > context.block->cluster.size()) return nullptr;
  return context.block->cluster[rank - 1];
}

void mark_shared_written(Block& block, std::uint64_t offset, std::uint64_t bytes, bool written) {
  if (block.shared_written.empty()) return;
  for (std::uint64_t i = offset; i < offset + bytes;) {
    const std::uint64_t bit = i % 64;
    const std::uint64_t width = std::min<std::uint64_t>(64 - bit, offset + bytes - i);
    const std::uint64_t mask = (width == 64 ? ~0ULL : (1ULL << width) - 1) << bit;
    if (written) {
      block.shared_written[i / 64] |= mask;
    } else {
      block.shared_written[i / 64] &= ~mask;
    }
    i += width;
  }
}

bool shared_written(const Block& block, std::uint64_t offset, std::uint64_t bytes) {
  return block.shared_written.empty() || bits_set(block.shared_written, offset, bytes);
}

std::byte* resolve_shared_run(Context& context, const MemoryDetail& detail, const Run& run) {
  Block& block = *context.block;
  const std::uint64_t address = run.address;
  const auto lanes = static_cast<unsigned>(run.lanes);
  const std::uint64_t bytes = std::uint64_t{detail.width} * (run.uniform ? 1u : lanes);
  if (address % detail.width != 0 || address > block.shared_bytes ||
      address + bytes > block.shared_bytes || detail.strong) {
    return nullptr;
  }
  if (!block.shared_written.empty() && !detail.write &&
      !bits_set(block.shared_written, address, bytes)) {
    return nullptr;
  }
  if (block.races.enabled()) {
    const auto offset = static_cast<std::uint32_t>(address);
    const auto kind = detail.write ? check::SharedAccess::kWrite : check::SharedAccess::kRead;
    if (run.uniform) {
      const int lane = lanes > 1 ? check::SharedRaces::kSeveralLanes : run.first;
      // A conflict is looked at again lane by lane, which finds it once more.
      if (block.races.access(context.warp->index, lane, offset, detail.width, kind).found) {
        return nullptr;
      }
    } else if (!block.races.access_run(context.warp->index, run.first, run.lanes, offset,
                                       detail.width, kind)) {
      return nullptr;
    }
  }
  if (detail.write) mark_shared_written(block, address, bytes, true);
  const std::uint64_t phases = (bytes + 127) / 128;
  context.counters.shared_requests += phases;
  context.counters.shared_wavefronts += phases;
  return block.shared.data() + address;
}

bool resolve_shared(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask,
                    const std::uint64_t* address, std::byte** place) {
  const std::uint64_t bytes = detail.width;
  const Options& options = context.launch.options;
  bool good = true;
  if (detail.acquire) {
    context.block->races.acquire(context.warp->index);
    context.block->peers.shared_acquire(context.warp->index);
  }
  for_lanes(mask, [&](int lane) {
    if (!good) return;
    std::uint64_t offset = 0;
    Block* owner = shared_owner(context, address[lane], offset);
    if (owner == nullptr || offset + bytes > owner->shared_bytes || owner->done()) {
      context.fail(Fault::kIllegalAddress, op, lane,
                   owner == nullptr ? "shared memory of a block that is not in the cluster"
                   : owner->done()  ? "shared memory of a block of the cluster that has ended"
                                    : describe_shared(context, offset) + " with " +
                                         std::to_string(bytes) + " bytes is beyond the " +
                                         std::to_string(owner->shared_bytes - kSharedReserved) +
                                         " bytes of the block");
      good = false;
      return;
    }
    if (offset % bytes != 0) {
      context.fail(Fault::kMisaligned, op, lane,
                   describe_shared(context, offset) + " is not aligned to " +
                       std::to_string(bytes) + " bytes");
      good = false;
      return;
    }
    place[lane] = owner->shared.data() + offset;
    if (!owner->shared_written.empty() && (!detail.write || detail.atomic) &&
        options.check_initialised && !any_bit(owner->shared_written, offset, bytes)) {
      report_unwritten(context, op, lane, *owner, offset, bytes);
    }
    if (detail.write) mark_shared_written(*owner, offset, bytes, true);
    // Lanes that store to one place in one instruction are compared by value below.
    const bool collides = detail.write && !detail.atomic && stored_before(mask, address, lane);
    if (owner == context.block && owner->races.enabled() && !collides) {
      const check::SharedAccess kind = detail.atomic || detail.strong ? check::SharedAccess::kAtomic
                                       : detail.write                 ? check::SharedAccess::kWrite
                                                                      : check::SharedAccess::kRead;
      const check::SharedConflict conflict =
          owner->races.access(context.warp->index, lane, static_cast<std::uint32_t>(offset),
                              static_cast<std::uint32_t>(bytes), kind);
      if (conflict.found) report_conflict(context, op, lane, offset, conflict, detail.write);
    }
  });
  if (!good) return false;
  if (detail.write && !detail.atomic && options.check_races) {
    check_colliding_stores(context, op, detail, mask, address);
  }
  if (detail.release) {
    context.block->races.release(context.warp->index);
    context.block->peers.shared_release(context.warp->index);
  }
  if (options.count_sectors) count_banks(context, detail.width, mask, address);
  return true;
}

std::byte* resolve_shared_range(Context& context, const Op& op, int lane, std::uint64_t address,
                                std::uint64_t bytes, bool write, std::uint64_t alignment) {
  std::uint64_t offset = 0;
  Block* owner = shared_owner(context, address, offset);
  if (owner == nullptr || offset + bytes > owner->shared_bytes) {
    context.fail(Fault::kIllegalAddress, op, lane,
                 describe_shared(context, offset) + " with " + std::to_string(bytes) +
                     " bytes is beyond the shared memory of the block");
    return nullptr;
  }
  if (offset % alignment != 0) {
    context.fail(Fault::kMisaligned, op, lane,
                 describe_shared(context, offset) + " is not aligned to " +
                     std::to_string(alignment) + " bytes");
    return nullptr;
  }
  if (bytes == 0) return owner->shared.data() + offset;
  if (write) {
    mark_shared_written(*owner, offset, bytes, true);
  } else if (!owner->shared_written.empty() && !any_bit(owner->shared_written, offset, bytes)) {
    report_unwritten(context, op, lane, *owner, offset, bytes);
  }
  if (owner == context.block && owner->races.enabled()) {
    const check::SharedConflict conflict =
        owner->races.access(context.warp->index, -1, static_cast<std::uint32_t>(offset),
                            static_cast<std::uint32_t>(bytes),
                            write ? check::SharedAccess::kWrite : check::SharedAccess::kRead);
    if (conflict.found) report_conflict(context, op, lane, offset, conflict, write);
  }
  return owner->shared.data() + offset;
}

}  // namespace gpusim::execute
