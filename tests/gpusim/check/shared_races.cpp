// Vector clocks of warps and the records of words. Clocks are drawn from one counter per block, so
// that all warps which meet at a barrier go on with the same new clock; the clocks of several
// readers of a word can then be kept as a range.
#include "check/shared_races.hpp"

#include <algorithm>

namespace gpusim::check {

void SharedRaces::start(bool enabled, std::uint32_t bytes, int warps) {
  enabled_ = enabled;
  if (!enabled) return;
  warps_ = warps;
  time_ = 1;
  clocks_.assign(static_cast<std::size_t>(warps) * kWarps, 0);
  for (int w = 0; w < warps; ++w) clocks_[static_cast<std::size_t>(w * kWarps + w)] = 1;
  oldest_.assign(static_cast<std::size_t>(warps), 0);
  published_.assign(kWarps, 0);
  words_.assign((bytes + 3) / 4, Word{});
}

void SharedRaces::settle(int warp) {
  std::uint32_t oldest = ~0u;
  for (int other = 0; other < warps_; ++other) {
    if (other != warp) {
      oldest = std::min(oldest, clocks_[static_cast<std::size_t>(warp * kWarps + other)]);
    }
  }
  oldest_[static_cast<std::size_t>(warp)] = oldest;
}

SharedConflict SharedRaces::access(int warp, int lane, std::uint32_t offset, std::uint32_t bytes,
                                   SharedAccess kind) {
  SharedConflict conflict;
  if (!enabled_) return conflict;
  const std::uint32_t mine = clocks_[static_cast<std::size_t>(warp * kWarps + warp)];
  const std::uint64_t bit = 1ULL << warp;
  for (std::uint32_t w = offset / 4; w <= (offset + bytes - 1) / 4 && w < words_.size(); ++w) {
    Word& word = words_[w];
    const bool both_atomic = kind == SharedAccess::kAtomic && word.atomic;
    if (word.write_clock != 0 && !both_atomic && !conflict.found) {
      const bool other_warp = word.writer != warp && !ordered(warp, word.writer, word.write_clock);
      // Lanes of one warp: only bar.warp.sync orders them.
      const bool other_lane =
          word.writer == warp && word.write_clock == mine && word.writer_lane != lane && bytes >= 4;
      if (other_warp || other_lane) {
        conflict = {true, true, word.writer, word.writer_lane};
      }
    }
    if (kind != SharedAccess::kRead && word.readers != 0 && !both_atomic && !conflict.found) {
      for (int other = 0; other < warps_; ++other) {
        if (other == warp || (word.readers >> other & 1) == 0) continue;
        if (!ordered(warp, other, word.read_first)) {
          conflict = {true, false, other, word.several_lanes ? -1 : word.reader_lane};
          break;
        }
      }
      if (!conflict.found && lane >= 0 && word.readers == bit && word.read_last == mine &&
          bytes >= 4 && !word.several_lanes && word.reader_lane != lane) {
        conflict = {true, false, warp, word.reader_lane};
      }
    }
    if (kind == SharedAccess::kRead) {
      // Readers that happened before this one need not be kept.
      if (word.readers != 0 && word.read_last <= oldest_[static_cast<std::size_t>(warp)] &&
          word.read_last != mine) {
        word.readers = 0;
      }
      if (word.readers == 0) {
        word.read_first = word.read_last = mine;
        word.reader_lane = static_cast<std::uint8_t>(lane);
        word.several_lanes = false;
      } else {
        word.read_first = std::min(word.read_first, mine);
        word.read_last = std::max(word.read_last, mine);
        word.several_lanes =
            word.several_lanes || word.reader_lane != lane || (word.readers & ~bit) != 0;
      }
      word.readers |= bit;
    } else {
      word.write_clock = mine;
      word.writer = static_cast<std::uint8_t>(warp);
      word.writer_lane = static_cast<std::uint8_t>(lane);
      word.atomic = kind == SharedAccess::kAtomic;
      word.readers = 0;
    }
  }
  return conflict;
}

bool SharedRaces::access_all(int warp, std::uint32_t offset, std::uint32_t bytes,
                             SharedAccess kind) {
  if (!enabled_) return true;
  const std::uint32_t mine = clocks_[static_cast<std::size_t>(warp * kWarps + warp)];
  const std::uint32_t oldest = oldest_[static_cast<std::size_t>(warp)];
  const std::uint32_t per_lane = bytes / 4;
  const std::uint32_t first = offset / 4;
  const std::uint32_t count = per_lane * 32;
  if (first + count > words_.size()) return false;
  Word* const words = words_.data() + first;
  const auto self = static_cast<std::uint8_t>(warp);
  const std::uint64_t bit = 1ULL << warp;
  // All earlier accesses must be ordered before everything this warp does now.
  bool clean = true;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Word& word = words[i];
    const bool write_ok = word.write_clock <= oldest ||
                          (word.writer == self && word.write_clock < mine) ||
                          (word.writer == self && word.writer_lane == i / per_lane);
    const bool read_ok =
        kind == SharedAccess::kRead || word.readers == 0 || word.read_last <= oldest ||
        (word.readers == bit &&
         (word.read_last < mine || word.several_lanes || word.reader_lane == i / per_lane));
    clean = clean && write_ok && read_ok;
  }
  if (!clean) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    Word& word = words[i];
    const auto lane = static_cast<std::uint8_t>(i / per_lane);
    if (kind == SharedAccess::kRead) {
      if (word.readers == 0 || (word.read_last <= oldest && word.read_last != mine)) {
        word.readers = bit;
        word.read_first = word.read_last = mine;
        word.reader_lane = lane;
        word.several_lanes = false;
      } else {
        word.several_lanes =
            word.several_lanes || word.reader_lane != lane || (word.readers & ~bit) != 0;
        word.readers |= bit;
        word.read_first = std::min(word.read_first, mine);
        word.read_last = std::max(word.read_last, mine);
      }
    } else {
      word.write_clock = mine;
      word.writer = self;
      word.writer_lane = lane;
      word.atomic = false;
      word.readers = 0;
    }
  }
  return true;
}

void SharedRaces::meet(std::uint64_t arrived, std::uint64_t waiting) {
  if (!enabled_) return;
  std::uint32_t joined[kWarps] = {};
  for (int w = 0; w < warps_; ++w) {
    if (((arrived | waiting) >> w & 1) == 0) continue;
    for (int other = 0; other < warps_; ++other) {
      joined[other] =
          std::max(joined[other], clocks_[static_cast<std::size_t>(w * kWarps + other)]);
    }
  }
  ++time_;
  for (int w = 0; w < warps_; ++w) {
    if (((arrived | waiting) >> w & 1) == 0) continue;
    std::uint32_t* mine = clocks_.data() + static_cast<std::size_t>(w * kWarps);
    if ((waiting >> w & 1) != 0) {
      for (int other = 0; other < warps_; ++other)
        mine[other] = std::max(mine[other], joined[other]);
    }
    mine[w] = time_;
    settle(w);
  }
}

void SharedRaces::warp_sync(int warp) {
  if (!enabled_) return;
  clocks_[static_cast<std::size_t>(warp * kWarps + warp)] = ++time_;
}

void SharedRaces::release(int warp) {
  if (!enabled_) return;
  std::uint32_t* mine = clocks_.data() + static_cast<std::size_t>(warp * kWarps);
  for (int other = 0; other < warps_; ++other) {
    published_[static_cast<std::size_t>(other)] =
        std::max(published_[static_cast<std::size_t>(other)], mine[other]);
  }
  mine[warp] = ++time_;
}

void SharedRaces::acquire(int warp) {
  if (!enabled_) return;
  std::uint32_t* mine = clocks_.data() + static_cast<std::size_t>(warp * kWarps);
  for (int other = 0; other < warps_; ++other) {
    if (other == warp) continue;
    mine[other] = std::max(mine[other], published_[static_cast<std::size_t>(other)]);
  }
  settle(warp);
}

}  // namespace gpusim::check
