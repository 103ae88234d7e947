// What one thread knows of the threads of all processes that share memory: vector clocks whose
// components are the warps of blocks of launches of processes. The words lie flat in one array, so
// that a clock can be copied into memory that processes share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gpusim {

/// How much of a warp is known: all lanes up to `all`, the lanes of the mask up to `some`.
struct WarpTime {
  std::uint32_t all = 0;
  std::uint32_t some = 0;
  std::uint32_t lanes = 0;
};

class PeerClock {
 public:
  /// Names a block: launches count from 1 in each process.
  struct Place {
    std::uint32_t process = 0, launch = 0, block = 0;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  /// As a block: all of the launch.
  static constexpr std::uint32_t kWhole = ~0u;

  PeerClock() = default;
  explicit PeerClock(std::span<const std::uint32_t> words) : words_(words.begin(), words.end()) {}
  std::span<const std::uint32_t> words() const { return words_; }
  bool empty() const { return words_.empty(); }

  void join(const PeerClock& other);
  void join(std::span<const std::uint32_t> words);
  /// Of one warp of a block with `warps` warps.
  void join_warp(const Place& place, std::uint32_t warps, std::uint32_t warp, const WarpTime& time);
  /// All launches of the process up to this one have ended.
  void complete_up_to(std::uint32_t process, std::uint32_t launch);
  void complete(std::uint32_t process, std::uint32_t launch);

  bool knows(const Place& place, std::uint32_t warp, std::uint32_t lane, std::uint32_t time) const;
  /// Whether joining `other` would change nothing; false where that is not quickly seen.
  bool covers(std::span<const std::uint32_t> words) const;

 private:
  /// Per place: process, launch, block, number of warps, and three words per warp. Sorted by place;
  /// a process's launch 0 holds, as the time of warp 0, up to which launch all have ended.
  std::vector<std::uint32_t> words_;
};

}  // namespace gpusim
