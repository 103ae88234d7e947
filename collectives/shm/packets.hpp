// Short messages, for one hop: every cache line of a message says by itself whether it has come, so
// that a reader who waits gets data and news in one trip from the writer's cache to its own.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ingot::shm {

/// What a reader must know of the call; stands in the first line before the data.
struct PacketHead {
  std::uint32_t shape = 0;  ///< as in Desk
  std::int32_t root = 0;
  std::uint64_t count = 0;
  std::uint64_t settled = 0;  ///< as in Desk
};

/// The lines of one rank in one slot. Messages of one place have tags that differ, none of them 0.
class Packets {
 public:
  static constexpr std::int64_t kBytes = 2560;    ///< memory of a rank in a slot
  static constexpr std::int64_t kLargest = 2048;  ///< bytes of a message

  explicit Packets(std::byte* lines) : lines_(reinterpret_cast<Line*>(lines)) {}

  void write(std::uint64_t tag, const PacketHead& head, const std::byte* data,
             std::int64_t bytes) const;
  /// Whether the first line has come; the rest may take a moment longer.
  bool begun(std::uint64_t tag) const {
    return lines_[0].tag.load(std::memory_order_acquire) == tag;
  }
  /// Of a message that has begun.
  PacketHead head() const;
  /// Copies bytes [offset, offset + bytes) of the message; false where a line has not come yet.
  bool read(std::uint64_t tag, std::int64_t offset, std::int64_t bytes, std::byte* to) const;
  /// Fetches the lines of a message of `bytes` bytes that is to be written soon.
  void prefetch_to_write(std::int64_t bytes) const;

 private:
  struct alignas(64) Line {
    std::byte data[56];
    std::atomic<std::uint64_t> tag;  ///< written last
  };
  Line* lines_;
};

}  // namespace ingot::shm
