#include "collectives/shm/packets.hpp"

#include <algorithm>
#include <cstring>

namespace ingot::shm {
namespace {

constexpr std::int64_t kLine = 56;  ///< bytes that a line carries beside its tag
constexpr std::int64_t kHead = sizeof(PacketHead);

void prefetch(const void* line) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" ::"m"(*static_cast<const char*>(line)));
#else
  __builtin_prefetch(line, 1);
#endif
}

/// A whole line's worth has a length that the compiler knows.
void copy_line(std::byte* to, const std::byte* from, std::int64_t bytes) {
  if (bytes == kLine) {
    std::memcpy(to, from, kLine);
  } else {
    std::memcpy(to, from, static_cast<std::size_t>(bytes));
  }
}

}  // namespace

void Packets::write(std::uint64_t tag, const PacketHead& head, const std::byte* data,
                    std::int64_t bytes) const {
  std::memcpy(lines_[0].data, &head, kHead);
  std::int64_t part = std::min(bytes, kLine - kHead);
  if (part > 0) std::memcpy(lines_[0].data + kHead, data, static_cast<std::size_t>(part));
  lines_[0].tag.store(tag, std::memory_order_release);
  Line* line = lines_;
  for (std::int64_t done = part; done < bytes; done += part) {
    ++line;
    part = std::min(bytes - done, kLine);
    copy_line(line->data, data + done, part);
    line->tag.store(tag, std::memory_order_release);
  }
}

PacketHead Packets::head() const {
  PacketHead head;
  std::memcpy(&head, lines_[0].data, kHead);
  return head;
}

bool Packets::read(std::uint64_t tag, std::int64_t offset, std::int64_t bytes,
                   std::byte* to) const {
  const std::int64_t begin = kHead + offset;
  const Line* line = lines_ + begin / kLine;
  std::int64_t within = begin % kLine;
  while (bytes > 0) {
    if (line->tag.load(std::memory_order_acquire) != tag) return false;
    const std::int64_t part = std::min(bytes, kLine - within);
    copy_line(to, line->data + within, part);
    to += part;
    bytes -= part;
    within = 0;
    ++line;
  }
  return true;
}

void Packets::prefetch_to_write(std::int64_t bytes) const {
  const std::int64_t lines = (kHead + bytes + kLine - 1) / kLine;
  for (std::int64_t i = 0; i < lines; ++i) prefetch(lines_ + i);
}

}  // namespace ingot::shm
