// Races in the shared memory of one block: two threads touch a word without an ordering barrier
// between them and one of them writes. Every warp has a vector clock over the warps of the block,
// joined at each synchronisation; every word remembers its last write and the reads since then.
// What is reported is certain; some races behind partial barriers can be missed.
#pragma once

#include <cstdint>
#include <vector>

namespace gpusim::check {

/// kStrongRead: volatile, relaxed or acquire; such reads are no race with atomic writes.
enum class SharedAccess : std::uint8_t { kRead, kStrongRead, kWrite, kAtomic };

struct SharedConflict {
  bool found = false;
  bool other_wrote = false;
  int other_warp = 0;
  int other_lane = -1;  ///< -1: not known, or several
};

class SharedRaces {
 public:
  static constexpr int kSeveralLanes = 255;

  /// For a fresh block. With `enabled` false nothing is recorded.
  void start(bool enabled, std::uint32_t bytes, int warps);
  bool enabled() const { return enabled_; }

  /// A lane touches `bytes` bytes at `offset`; lane -1: the warp as a whole, whose own accesses do
  /// not conflict; kSeveralLanes: more than one lane reads the same.
  SharedConflict access(int warp, int lane, std::uint32_t offset, std::uint32_t bytes,
                        SharedAccess kind);
  /// `lanes` lanes from `first` on touch consecutive elements of `bytes` bytes from `offset`: true
  /// where nothing can conflict and the accesses are recorded, false where each has to be looked
  /// at.
  bool access_run(int warp, int first, int lanes, std::uint32_t offset, std::uint32_t bytes,
                  SharedAccess kind);

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
  static constexpr int kWarps = 32;
  bool ordered(int warp, int other, std::uint32_t clock) const {
    return clock <= clocks_[static_cast<std::size_t>(warp * kWarps + other)];
  }
  std::uint32_t& clock(int warp, int other) {
    return clocks_[static_cast<std::size_t>(warp * kWarps + other)];
  }
  void settle(int warp);
  SharedConflict access_word(std::size_t word, int warp, int lane, bool narrow, SharedAccess kind);

  bool enabled_ = false;
  int warps_ = 0;
  /// Never set back: what an earlier block left in the records lies before everything of this one.
  std::uint32_t time_ = 0;
  std::vector<std::uint32_t> clocks_;  ///< [warp][other]
  std::vector<std::uint32_t> oldest_;  ///< per warp: the smallest clock it knows of another
  std::vector<std::uint32_t> published_;

  // Per word, apart from each other so that the records of 32 words are whole vectors.
  std::vector<std::uint32_t> write_clock_;  ///< 0: never
  std::vector<std::uint32_t> writer_;       ///< warp << 8 | lane, kAtomicBit
  std::vector<std::uint32_t> readers_;      ///< warps that have read since
  std::vector<std::uint32_t> read_first_;   ///< their clocks
  std::vector<std::uint32_t> read_last_;
  std::vector<std::uint32_t> reader_lane_;  ///< or kSeveralLanes
};

}  // namespace gpusim::check
