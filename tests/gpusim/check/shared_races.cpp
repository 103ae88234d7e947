// Vector clocks of warps and the records of words. Clocks are drawn from one counter per block, so
// that all warps which meet at a barrier go on with the same new clock; the clocks of several
// readers of a word can then be kept as a range.
#include "check/shared_races.hpp"

#include <algorithm>

namespace gpusim::check {
namespace {

constexpr std::uint32_t kAtomicBit = 1u << 31;
constexpr std::uint32_t kManyLanes = SharedRaces::kSeveralLanes;

/// The records of `count` words, beginning with the one that lane 0 touches first.
struct Records {
  std::uint32_t* write_clock;
  std::uint32_t* writer;
  std::uint32_t* readers;
  std::uint32_t* read_first;
  std::uint32_t* read_last;
  std::uint32_t* reader_lane;
};

/// Who touches them: word i by lane first + (i >> shift), or, where elements are smaller than
/// words, by several lanes that do not matter.
struct Self {
  std::uint32_t warp, mine, oldest, first, shift;
  std::uint32_t any_lane;  ///< 1: elements are smaller than words
  /// Up to which clock of each warp everything is ordered before this; of the own warp, what lies
  /// behind the last bar.warp.sync is not.
  std::uint32_t known[32];
};

/// Whether reads of all words are certainly ordered behind their writes; then notes them.
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) bool read_words(
    const Records& r, const Self& self, std::uint32_t count) {
  std::uint32_t dirty = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t clock = r.write_clock[i];
    const std::uint32_t same_warp = ((r.writer[i] ^ self.warp << 8) & 0x7fffff00u) == 0;
    const std::uint32_t lane = self.first + (i >> self.shift);
    const std::uint32_t same_lane = self.any_lane | ((r.writer[i] & 255u) == lane);
    const std::uint32_t good =
        (clock <= self.known[r.writer[i] >> 8 & 31]) | (same_warp & same_lane);
    dirty |= good ^ 1u;
  }
  if (dirty != 0) return false;
  const std::uint32_t bit = 1u << self.warp;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t last = r.read_last[i], first = r.read_first[i], readers = r.readers[i];
    const std::uint32_t lane = self.any_lane != 0 ? kManyLanes : self.first + (i >> self.shift);
    // Readers that happened before this one need not be kept.
    const bool fresh = (readers == 0) | ((last <= self.oldest) & (last != self.mine));
    const bool only_me = (r.reader_lane[i] == lane) & (readers == bit);
    r.readers[i] = fresh ? bit : readers | bit;
    r.read_first[i] = fresh || self.mine < first ? self.mine : first;
    r.read_last[i] = fresh || self.mine > last ? self.mine : last;
    r.reader_lane[i] = fresh || only_me ? lane : kManyLanes;
  }
  return true;
}

/// The same for writes.
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) bool write_words(
    const Records& r, const Self& self, std::uint32_t count) {
  const std::uint32_t bit = 1u << self.warp;
  std::uint32_t dirty = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t clock = r.write_clock[i];
    const std::uint32_t lane = self.first + (i >> self.shift);
    const std::uint32_t same_warp = ((r.writer[i] ^ self.warp << 8) & 0x7fffff00u) == 0;
    const std::uint32_t same_lane = self.any_lane | ((r.writer[i] & 255u) == lane);
    const std::uint32_t write_good =
        (clock <= self.known[r.writer[i] >> 8 & 31]) | (same_warp & same_lane);
    const std::uint32_t last = r.read_last[i], readers = r.readers[i];
    const std::uint32_t read_good =
        (readers == 0) | (last <= self.oldest) |
        ((readers == bit) & ((last < self.mine) | (r.reader_lane[i] == lane) | self.any_lane));
    dirty |= (write_good & read_good) ^ 1u;
  }
  if (dirty != 0) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    r.write_clock[i] = self.mine;
    r.writer[i] =
        self.warp << 8 | (self.any_lane != 0 ? kManyLanes : self.first + (i >> self.shift));
    r.readers[i] = 0;
  }
  return true;
}

}  // namespace

void SharedRaces::start(bool enabled, std::uint32_t bytes, int warps) {
  enabled_ = enabled;
  if (!enabled) return;
  warps_ = warps;
  const std::size_t words = (bytes + 3) / 4;
  constexpr std::uint32_t kLatest = 1u << 31;
  if (time_ > kLatest) {
    time_ = 0;
    std::fill(write_clock_.begin(), write_clock_.end(), 0);
    std::fill(readers_.begin(), readers_.end(), 0);
  }
  for (auto* record :
       {&write_clock_, &writer_, &readers_, &read_first_, &read_last_, &reader_lane_}) {
    if (record->size() < words) record->resize(words, 0);
  }
  const std::uint32_t before = ++time_;
  ++time_;
  clocks_.assign(static_cast<std::size_t>(warps) * kWarps, before);
  for (int w = 0; w < warps; ++w) clock(w, w) = time_;
  oldest_.assign(static_cast<std::size_t>(warps), before);
  published_.assign(kWarps, before);
}

void SharedRaces::settle(int warp) {
  std::uint32_t oldest = ~0u;
  for (int other = 0; other < warps_; ++other) {
    if (other != warp) oldest = std::min(oldest, clock(warp, other));
  }
  // Alone in the block a warp is ordered behind nobody: its own clock decides.
  if (warps_ == 1) oldest = oldest_[0];
  oldest_[static_cast<std::size_t>(warp)] = oldest;
}

SharedConflict SharedRaces::access_word(std::size_t word, int warp, int lane, bool narrow,
                                        SharedAccess kind) {
  SharedConflict conflict;
  const std::uint32_t mine = clock(warp, warp);
  const std::uint32_t oldest = oldest_[static_cast<std::size_t>(warp)];
  const std::uint32_t bit = 1u << warp;
  const bool atomic = kind == SharedAccess::kAtomic || kind == SharedAccess::kStrongRead;
  const bool lanes_count = lane >= 0 && !narrow;
  const std::uint32_t written = write_clock_[word];
  if (written > oldest && !(atomic && (writer_[word] & kAtomicBit) != 0)) {
    const int writer = static_cast<int>(writer_[word] >> 8 & 0xff);
    const int writer_lane = static_cast<int>(writer_[word] & 0xff);
    // Lanes of one warp: only bar.warp.sync orders them.
    const bool races = writer == warp ? lanes_count && written == mine && writer_lane != lane
                                      : !ordered(warp, writer, written);
    if (races) conflict = {true, true, writer, writer_lane < 32 ? writer_lane : -1};
  }
  if (kind == SharedAccess::kStrongRead) return conflict;
  const std::uint32_t readers = readers_[word];
  const std::uint32_t last = read_last_[word];
  if (kind == SharedAccess::kRead) {
    if (readers == 0 || (last <= oldest && last != mine)) {
      readers_[word] = bit;
      read_first_[word] = read_last_[word] = mine;
      reader_lane_[word] = static_cast<std::uint32_t>(lane < 0 ? kSeveralLanes : lane);
    } else {
      if (readers != bit || reader_lane_[word] != static_cast<std::uint32_t>(lane)) {
        reader_lane_[word] = kManyLanes;
      }
      readers_[word] = readers | bit;
      read_first_[word] = std::min(read_first_[word], mine);
      read_last_[word] = std::max(last, mine);
    }
    return conflict;
  }
  if (readers != 0 && !conflict.found) {
    const std::uint32_t reader_lane = reader_lane_[word];
    const int known_lane = reader_lane == kManyLanes ? -1 : static_cast<int>(reader_lane);
    if (readers == bit && lanes_count && last == mine &&
        reader_lane != static_cast<std::uint32_t>(lane) && !atomic) {
      conflict = {true, false, warp, known_lane};
    }
    for (int other = 0; other < warps_ && !conflict.found; ++other) {
      if (other == warp || (readers >> other & 1) == 0) continue;
      if (!ordered(warp, other, read_first_[word])) conflict = {true, false, other, known_lane};
    }
  }
  write_clock_[word] = mine;
  writer_[word] = static_cast<std::uint32_t>(warp) << 8 |
                  static_cast<std::uint32_t>(lane < 0 ? kSeveralLanes : lane) |
                  (atomic ? kAtomicBit : 0);
  readers_[word] = 0;
  return conflict;
}

SharedConflict SharedRaces::access(int warp, int lane, std::uint32_t offset, std::uint32_t bytes,
                                   SharedAccess kind) {
  SharedConflict result;
  if (!enabled_ || bytes == 0) return result;
  const std::size_t last = (offset + bytes - 1) / 4;
  for (std::size_t word = offset / 4; word <= last && word < write_clock_.size(); ++word) {
    const SharedConflict conflict = access_word(word, warp, lane, bytes < 4, kind);
    if (!result.found) result = conflict;
  }
  return result;
}

bool SharedRaces::access_run(int warp, int first, int lanes, std::uint32_t offset,
                             std::uint32_t bytes, SharedAccess kind) {
  if (!enabled_) return true;
  const std::size_t begin = offset / 4;
  const std::size_t end = (offset + static_cast<std::uint32_t>(lanes) * bytes + 3) / 4;
  if (end > write_clock_.size()) return false;
  const Records records{write_clock_.data() + begin, writer_.data() + begin,
                        readers_.data() + begin,     read_first_.data() + begin,
                        read_last_.data() + begin,   reader_lane_.data() + begin};
  Self self{};
  self.warp = static_cast<std::uint32_t>(warp);
  self.mine = clock(warp, warp);
  self.oldest = oldest_[static_cast<std::size_t>(warp)];
  self.first = static_cast<std::uint32_t>(first);
  self.shift = bytes <= 4 ? 0 : bytes == 8 ? 1 : bytes == 16 ? 2 : 3;
  self.any_lane = bytes < 4 ? 1 : 0;
  for (int other = 0; other < kWarps; ++other) self.known[other] = clock(warp, other);
  self.known[warp] = self.mine - 1;
  const auto count = static_cast<std::uint32_t>(end - begin);
  return kind == SharedAccess::kRead ? read_words(records, self, count)
                                     : write_words(records, self, count);
}

void SharedRaces::meet(std::uint64_t arrived, std::uint64_t waiting) {
  if (!enabled_) return;
  std::uint32_t joined[kWarps] = {};
  for (int w = 0; w < warps_; ++w) {
    if (((arrived | waiting) >> w & 1) == 0) continue;
    for (int other = 0; other < warps_; ++other) {
      joined[other] = std::max(joined[other], clock(w, other));
    }
  }
  const std::uint32_t before = time_++;
  for (int w = 0; w < warps_; ++w) {
    if (((arrived | waiting) >> w & 1) == 0) continue;
    if ((waiting >> w & 1) != 0) {
      for (int other = 0; other < warps_; ++other) {
        clock(w, other) = std::max(clock(w, other), joined[other]);
      }
    }
    clock(w, w) = time_;
    if (warps_ == 1) oldest_[0] = before;
    settle(w);
  }
}

void SharedRaces::warp_sync(int warp) {
  if (!enabled_) return;
  if (warps_ == 1) oldest_[0] = time_;
  clock(warp, warp) = ++time_;
}

void SharedRaces::release(int warp) {
  if (!enabled_) return;
  for (int other = 0; other < warps_; ++other) {
    auto& published = published_[static_cast<std::size_t>(other)];
    published = std::max(published, clock(warp, other));
  }
  if (warps_ > 1) clock(warp, warp) = ++time_;
}

void SharedRaces::acquire(int warp) {
  if (!enabled_) return;
  for (int other = 0; other < warps_; ++other) {
    if (other == warp) continue;
    clock(warp, other) = std::max(clock(warp, other), published_[static_cast<std::size_t>(other)]);
  }
  settle(warp);
}

}  // namespace gpusim::check
