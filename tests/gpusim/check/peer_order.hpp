// The order between kernels of different processes that share device memory, and between the blocks
// of one kernel there: two threads touch a word, one of them writes, and no chain of barriers,
// releases and acquires (or fences beside relaxed accesses) of sufficient scope leads from one to
// the other. Such a pair is reported however the timing was this time.
//
// Every warp has a vector clock (PeerClock) that it hands on at barriers of its block and through
// flags: a release publishes it with the flag, an acquire joins what was published. Lanes of a warp
// are told apart until bar.warp.sync or a barrier joins them. What hosts tell each other cannot be
// seen: a launch whose end its host has waited for counts as ordered before all that other
// processes enqueue later.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "check/peer_clock.hpp"
#include "memory/peer_shadow.hpp"

namespace gpusim {

/// How far fences and strong accesses reach. The device is what a block and a cluster count as.
enum class PeerScope : std::uint8_t { kDevice, kSystem };

/// One launch, from the point of view of the check. It gets a number once it touches shared memory.
class PeerLaunch {
 public:
  /// `enqueued`: when the host asked for it, in ns of the monotonic clock.
  PeerLaunch(int device, std::int64_t enqueued);
  ~PeerLaunch();
  PeerLaunch(const PeerLaunch&) = delete;
  PeerLaunch& operator=(const PeerLaunch&) = delete;

  std::uint32_t activate();
  void ended(const PeerClock& known);
  int device() const { return device_; }
  std::int64_t since() const { return since_; }
  const std::shared_ptr<const PeerClock>& base() const { return base_; }

 private:
  int device_;
  std::int64_t since_;
  std::shared_ptr<const PeerClock> base_;
  std::mutex mutex_;
  std::atomic<std::uint32_t> number_{0};
  PeerClock known_at_end_;  ///< guarded by mutex_
};

/// The host of this process has waited for work, or learned of its end: all launches that have
/// ended are known to have.
void peer_host_waited();
/// Work of this process is ordered behind work of others by something that is not a kernel: an
/// event of another process, a collective.
void peer_joined_others();
/// Whether anything was published in memory that only this process uses.
bool peer_flags_in_use();
/// Of this process: a place for PeerRecord::places.
std::uint16_t peer_place(const std::string& text);
std::int64_t peer_now();

struct PeerConflict {
  bool found = false;
  std::string text;  ///< who has done what, and that nothing orders the two
};

/// The warps of one block.
class PeerBlock {
 public:
  void start(PeerLaunch* launch, std::uint64_t number, int warps);
  bool watching() const { return launch_ != nullptr; }
  bool active() const { return active_; }
  /// At the end of the block.
  void finish();

  /// A lane touches shared memory. Not inside of a PeerFlag.
  PeerConflict access(const PeerTracking& tracking, std::uint64_t offset, std::uint64_t bytes,
                      int warp, int lane, bool write, bool strong, std::uint16_t place);

  void meet(std::uint64_t arrived, std::uint64_t waiting);
  /// barrier.cluster: the blocks have met, each with all of its warps.
  static void meet_blocks(const std::vector<PeerBlock*>& blocks);
  void warp_sync(int warp);
  void fence(int warp, std::uint32_t lanes, PeerScope scope);
  /// Through an mbarrier or a flag in shared memory.
  void shared_release(int warp);
  void shared_acquire(int warp);

 private:
  friend class PeerFlag;
  using Known = std::shared_ptr<const PeerClock>;
  static constexpr int kScopes = 2;

  struct Lane {
    PeerClock known, flushed[kScopes], pending[kScopes];
  };
  struct Warp {
    std::uint32_t time = 1;     ///< of what its lanes do now
    std::uint32_t synced = 0;   ///< up to here all lanes know of each other
    Known known;                ///< of all lanes
    Known flushed[kScopes];     ///< what a fence has covered: a relaxed write hands it on
    Known pending[kScopes];     ///< what relaxed reads have seen: a fence takes it
    std::map<int, Lane> lanes;  ///< what only one lane knows
  };

  void activate();
  PeerClock::Place here() const { return {process_, number_, block_}; }
  Warp& warp_at(int warp) { return warps_[static_cast<std::size_t>(warp)]; }
  void tick(Warp& warp);
  /// All that a lane knows, with its own accesses; of the warp as a whole with lane -1.
  PeerClock full(int warp, int lane);
  void join_lanes(Warp& warp);
  void release(PeerTracking const* tracking, std::uint64_t location, int warp, int lane,
               bool releases, PeerScope scope);
  void acquire(PeerTracking const* tracking, std::uint64_t location, int warp, int lane,
               bool acquires, PeerScope scope);
  void publish(const PeerTracking* tracking, std::uint64_t location, const PeerClock& clock,
               PeerScope scope);
  bool ordered(const PeerTracking& tracking, const PeerAccess& before, int warp, int lane);
  void describe(const PeerTracking& tracking, const PeerAccess& before, std::uint16_t place,
                bool wrote, PeerConflict& conflict) const;

  PeerLaunch* launch_ = nullptr;
  bool active_ = false;
  std::uint32_t process_ = 0, number_ = 0, block_ = 0;
  std::vector<Warp> warps_;
  PeerClock shared_published_;
};

/// Held around an atomic or strong access, so that a value and what is published with it go
/// together. `tracking` is null for memory that no other process uses; `location` is then the
/// address, else the offset in the owner's memory.
class PeerFlag {
 public:
  PeerFlag(PeerBlock& block, const PeerTracking* tracking, std::uint64_t location);
  ~PeerFlag();
  PeerFlag(const PeerFlag&) = delete;
  PeerFlag& operator=(const PeerFlag&) = delete;

  void before_write(int warp, int lane, bool releases, PeerScope scope);
  void after_read(int warp, int lane, bool acquires, PeerScope scope);

 private:
  PeerBlock& block_;
  const PeerTracking* tracking_;
  std::uint64_t location_;
};

}  // namespace gpusim
