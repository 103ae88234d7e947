// A bit per pair of devices: read by kernels, so without a lock.
#include "memory/peer_access.hpp"

#include <array>
#include <atomic>

#include "machine/machine.hpp"

namespace gpusim {
namespace {

constexpr int kMaxDevices = 128;

std::array<std::array<std::atomic<std::uint64_t>, kMaxDevices / 64>, kMaxDevices> enabled;

bool valid(int device) {
  return device >= 0 && device < kMaxDevices;
}

}  // namespace

void set_peer_access(int device, int owner, bool on) {
  if (!valid(device) || !valid(owner)) return;
  const std::uint64_t bit = 1ULL << (owner % 64);
  auto& word = enabled[static_cast<std::size_t>(device)][static_cast<std::size_t>(owner / 64)];
  if (on) {
    word.fetch_or(bit);
  } else {
    word.fetch_and(~bit);
  }
}

bool peer_access(int device, int owner) {
  if (device == owner) return true;
  if (!valid(device) || !valid(owner)) return false;
  const auto& word =
      enabled[static_cast<std::size_t>(device)][static_cast<std::size_t>(owner / 64)];
  return ((word.load(std::memory_order_relaxed) >> (owner % 64)) & 1) != 0;
}

bool peer_access_possible(int device, int owner) {
  for (const Link& link : machine().links) {
    const bool pair =
        (link.a == device && link.b == owner) || (link.a == owner && link.b == device);
    if (pair) return link.peer_access;
  }
  return false;
}

}  // namespace gpusim
