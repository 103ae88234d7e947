// What is common to one launch, and what one worker needs at hand while it runs its blocks. A
// Context belongs to one worker for one launch; operations get it with the current warp set.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "execute/block.hpp"
#include "execute/engine.hpp"
#include "execute/program.hpp"
#include "machine/machine.hpp"
#include "memory/address_space.hpp"

namespace gpusim::execute {

/// Parameters of the entry have generic addresses too (structs indexed at run time).
constexpr std::uint64_t kParameterWindow = kAddressBase + (4ULL << 40);

struct Launch {
  const LaunchRequest* request = nullptr;
  Program* program = nullptr;
  const Code* code = nullptr;
  const DeviceModel* device = nullptr;
  Options options;
  std::uint32_t threads = 0;  ///< per block
  std::uint64_t blocks = 0;
  std::uint32_t shared_bytes = 0;     ///< per block, all of it
  std::uint64_t resident_blocks = 0;  ///< at once
  std::uint32_t cluster_blocks = 1;
  std::uint64_t grid_workspace = 0;  ///< %envreg1 and 2
  /// Null where no memory is shared with other processes, or the order there is not checked.
  std::unique_ptr<PeerLaunch> peers;
  /// threadIdx of every thread: [axis][thread], 32 per warp.
  std::array<std::vector<std::uint32_t>, 3> thread_index;

  std::atomic<std::uint64_t> next_block{0};
  std::atomic<std::uint64_t> resident{0};
  std::atomic<bool> stop{false};
  std::atomic<std::int64_t> last_progress_ns{0};

  std::mutex mutex;  ///< of what follows
  Fault fault = Fault::kNone;
  std::string message;
  KernelCounters counters;
  AccessSet accesses;
};

/// What an operation asks of the interpreter's loop beside going on.
enum class Event : std::uint8_t {
  kNone,
  kYield,       ///< it polled in vain or slept: let others run, go on behind it later
  kReschedule,  ///< the groups of the warp have changed
  kFault
};

/// Where a static memory operation last found its data.
struct Site {
  const Allocation* allocation = nullptr;
  std::uint64_t page = ~0ULL;
  PageAccess* access = nullptr;
  std::uint16_t peer_place = 0;  ///< what it is called in reports of other processes; 0: not yet
};

struct Context {
  explicit Context(Launch& owner) : launch(owner) {}

  Launch& launch;
  Block* block = nullptr;
  Warp* warp = nullptr;
  Group* group = nullptr;
  const Code* code = nullptr;
  std::byte* frame = nullptr;  ///< registers of the running function
  Event event = Event::kNone;
  /// Lanes whose values a warp-level operation exchanges: those of several groups where lanes
  /// meet at different operations.
  LaneMask participants = 0;
  std::vector<Site> sites;
  KernelCounters counters;
  AccessSet accesses;

  std::uint32_t* row32(Ref ref) const {
    return reinterpret_cast<std::uint32_t*>(ref.resolve(frame));
  }
  std::uint64_t* row64(Ref ref) const {
    return reinterpret_cast<std::uint64_t*>(ref.resolve(frame));
  }
  LaneMask& predicate(Ref ref) const { return *reinterpret_cast<LaneMask*>(ref.resolve(frame)); }
  Site& site(std::uint32_t number) {
    if (number >= sites.size()) sites.resize(number + 64);
    return sites[number];
  }

  /// Ends the launch. The first fault of a launch counts.
  void fail(Fault fault, const Op& op, int lane, const std::string& what);
  /// Reports a problem that does not end the launch, once per operation and kind.
  void report(const char* kind, const Op& op, int lane, const std::string& what);
  /// "kernel add at add.cu:12, block (0,0,0) thread (5,0,0)"
  std::string where(const Op& op, int lane) const;
  /// "add.cu:12" or "PTX line 40".
  std::string line(const Op& op) const;
};

/// The thread's index in its block, in x, y, z.
Dim3 thread_of(const Launch& launch, const Warp& warp, int lane);

template <class F>
inline void for_lanes(LaneMask mask, F f) {
  if (mask == kAllLanes) {
    for (int lane = 0; lane < kLanes; ++lane) f(lane);
    return;
  }
  while (mask != 0) {
    f(__builtin_ctz(mask));
    mask &= mask - 1;
  }
}

}  // namespace gpusim::execute
