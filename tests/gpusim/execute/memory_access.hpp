// What loads, stores, atomics and copies share: the addresses of the lanes, and the checks that
// turn them into places in the simulator's memory.
#pragma once

#include <cstdint>

#include "execute/context.hpp"
#include "execute/decode/decoder.hpp"
#include "ptx/module.hpp"

namespace gpusim::execute {

struct MemoryDetail : Detail {
  ptx::Space space = ptx::Space::kGeneric;
  std::uint8_t element_bytes = 4;
  std::uint8_t count = 1;  ///< elements of a vector
  std::uint8_t width = 4;  ///< bytes per lane: both multiplied
  bool write = false;
  bool sign_extend = false;
  bool wide_rows = false;  ///< registers of the data are 64-bit rows
  bool strong = false;     ///< volatile, relaxed, acquire, release: may be polled
  bool acquire = false, release = false;
  /// In global memory, where a volatile access is a relaxed one, and how far it reaches.
  bool acquires = false, releases = false;
  PeerScope scope = PeerScope::kDevice;
  bool wide_address = true;
  bool frame_local = false;
  bool entry_parameter = false;
  bool atomic = false;
  /// The value is computed with, not only stored elsewhere: reading a scalar that was never written
  /// is an error. Else only if nothing of the vector was.
  bool used = true;
  std::int64_t offset = 0;
  std::uint32_t site = 0;
};

struct Addresses {
  alignas(64) std::uint64_t at[kLanes];
};

/// Fills what operand and address say into `detail` and `op`.
Address bring_address(Decoder& decoder, const ptx::Operand& operand, MemoryDetail& detail);
/// Whether plain accesses of the kernel may be races: neither strong, atomic nor constant.
bool unordered(const MemoryDetail& detail);
/// .sys, or what counts as the device.
PeerScope scope_of(const ptx::Instruction& instruction);
/// The space named by the modifiers; generic without one.
ptx::Space memory_space(const Decoder& decoder);

void collect_addresses(const Context& context, const Op& op, const MemoryDetail& detail,
                       LaneMask mask, Addresses& addresses);

/// How the addresses of the active lanes follow each other.
enum class Pattern : std::uint8_t { kRun, kUniform, kOther };
/// kRun: address[i] == address[first] + (i - first) * stride. Inactive lanes do not count.
Pattern pattern_of(const std::uint64_t* address, std::uint64_t stride, LaneMask mask);
Pattern pattern_of(const std::uint32_t* address, std::uint32_t stride, LaneMask mask);

// Each checks bounds, alignment, initialisation and races for all lanes of the mask and gives the
// places of the data; false after a fault. Local memory is not among them, see local_memory.hpp.
bool resolve_global(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask,
                    const std::uint64_t* address, std::byte** place);
bool resolve_shared(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask,
                    const std::uint64_t* address, std::byte** place);
bool resolve_parameter(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask,
                       const std::uint64_t* address, std::byte** place);
bool check_local(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask,
                 const std::uint64_t* address);
/// Consecutive elements from `address` on, of `lanes` lanes beginning with `first` (or, `uniform`,
/// one element for all of them): the place of the first, or null where the general way has to be
/// taken.
struct Run {
  std::uint64_t address = 0;
  int first = 0, lanes = kLanes;
  bool uniform = false;
};
std::byte* resolve_global_run(Context& context, const MemoryDetail& detail, const Run& run);
std::byte* resolve_shared_run(Context& context, const MemoryDetail& detail, const Run& run);

/// A range that one lane touches through a copy.
std::byte* resolve_global_range(Context& context, const Op& op, int lane, std::uint64_t address,
                                std::uint64_t bytes, bool write, std::uint64_t alignment);
std::byte* resolve_shared_range(Context& context, const Op& op, int lane, std::uint64_t address,
                                std::uint64_t bytes, bool write, std::uint64_t alignment);
/// Wavefronts of shared memory that lanes need who access `width` bytes each.
void count_banks(Context& context, int width, LaneMask mask, const std::uint64_t* offset);
void mark_shared_written(Block& block, std::uint64_t offset, std::uint64_t bytes, bool written);
bool shared_written(const Block& block, std::uint64_t offset, std::uint64_t bytes);

/// Reads `bytes` bytes of a lane from a generic address (strings, arguments of vprintf); false
/// where it leads nowhere.
bool read_generic(Context& context, int lane, std::uint64_t address, void* out,
                  std::uint32_t bytes);

/// Calls f(space, lanes) for each space that generic addresses of the mask lie in, after replacing
/// the addresses by those of the space. Stops where f returns false.
template <class F>
bool by_space(const Context& context, LaneMask mask, std::uint64_t* address, F f);

/// Lanes keep reading the same value at one place: after a few times others get their turn.
void note_poll(Context& context, const Op& op, std::uint64_t value);

/// The block whose shared memory an address of shared::cluster names, and the offset in it. Null
/// for a rank that does not exist.
Block* shared_owner(Context& context, std::uint64_t address, std::uint64_t& offset);

/// Text for a fault: "0x2000... is 4 bytes behind cudaMalloc #3 (1024 bytes)".
std::string describe_address(std::uint64_t address, std::uint64_t bytes);

}  // namespace gpusim::execute

#include "execute/spaces.hpp"

namespace gpusim::execute {

template <class F>
bool by_space(const Context& context, LaneMask mask, std::uint64_t* address, F f) {
  while (mask != 0) {
    const ptx::Space space = space_of(address[__builtin_ctz(mask)]);
    LaneMask same = 0;
    for_lanes(mask, [&](int lane) {
      if (space_of(address[lane]) == space) same |= 1u << lane;
    });
    mask &= ~same;
    if (space == ptx::Space::kShared) {
      const std::uint64_t own = context.block->cluster_rank;
      for_lanes(same, [&](int lane) {
        const std::uint64_t distance = address[lane] - kSharedWindow;
        const std::uint64_t rank = distance / kSharedSlot;
        address[lane] = distance % kSharedSlot;
        if (rank != own) address[lane] |= (rank + 1) << kClusterShift;
      });
    } else if (space == ptx::Space::kLocal) {
      for_lanes(same, [&](int lane) { address[lane] -= kLocalWindow; });
    } else if (space == ptx::Space::kParam) {
      for_lanes(same, [&](int lane) { address[lane] -= kParameterWindow; });
    }
    if (!f(space, same)) return false;
  }
  return true;
}

}  // namespace gpusim::execute
