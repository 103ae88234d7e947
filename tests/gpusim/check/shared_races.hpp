// Races in the shared memory of one block: two threads touch a word without an ordering barrier
// between them and one of them writes. Every warp has a vector clock over the warps of the block,
// joined at each synchronisation; every word remembers its last write and the reads since then.
// What is reported is certain; some races behind partial barriers can be missed.
#pragma once

#include <cstdint>
#include <vector>

namespace gpusim::check {

enum class SharedAccess : std::uint8_t { kRead, kWrite, kAtomic };

struct SharedConflict {
  bool found = false;
  bool other_wrote = false;
  int other_warp = 0;
  int other_lane = -1;  ///< -1: not known
};

class SharedRaces {
 public:
  /// For a fresh block. With `enabled` false nothing is recorded.
  void start(bool enabled, std::uint32_t bytes, int warps);
  bool enabled() const { return enabled_; }

  /// A lane touches `bytes` bytes at `offset`; lane -1: the warp as a whole, whose own accesses do
  /// not conflict.
  SharedConflict access(int warp, int lane, std::uint32_t offset, std::uint32_t bytes,
                        SharedAccess kind);
  /// All lanes of a warp touch consecutive elements of `bytes` bytes from `offset`: true where
  /// nothing can conflict and the accesses are recorded, false where each has to be looked at.
  bool access_all(int warp, std::uint32_t offset, std::uint32_t bytes, SharedAccess kind);

  /// The warps of the bit mask met at a barrier. One that only arrives gives its clock and takes
  /// none.
  void meet(std::uint64_t arrived, std::uint64_t waiting);
  /// bar.warp.sync.
  void warp_sync(int warp);
  /// A release makes earlier accesses visible to whoever acquires later; which location does it is
  /// not distinguished.
  void release(int warp);
  void acquire(int warp);

 private:
  static constexpr int kWarps = 64;
  struct Word {
    std::uint32_t write_clock = 0;                ///< 0: never
    std::uint32_t read_first = 0, read_last = 0;  ///< clocks of the reads since
    std::uint64_t readers = 0;                    ///< warps
    std::uint8_t writer = 0, writer_lane = 0, reader_lane = 0;
    bool atomic = false, several_lanes = false;
  };
  bool ordered(int warp, int other, std::uint32_t clock) const {
    return clock <= clocks_[static_cast<std::size_t>(warp * kWarps + other)];
  }
  void settle(int warp);

  bool enabled_ = false;
  int warps_ = 0;
  std::uint32_t time_ = 0;
  std::vector<std::uint32_t> clocks_;  ///< [warp][other]
  std::vector<std::uint32_t> oldest_;  ///< per warp: the smallest clock it knows of another
  std::vector<std::uint32_t> published_;
  std::vector<Word> words_;
};

}  // namespace gpusim::check
