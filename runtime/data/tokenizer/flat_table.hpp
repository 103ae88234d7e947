// A hash table from 64-bit keys to 64-bit values, filled once and then only read: the lookups of
// pairs of tokens are the inner loop of encoding, and std::unordered_map pays a cache miss more.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <vector>

namespace ingot {

class FlatTable {
 public:
  /// Room for `entries` insertions; more are not allowed.
  explicit FlatTable(std::size_t entries)
      : slots_(std::bit_ceil(2 * entries + 2)), mask_(slots_.size() - 1) {}

  /// Adds key -> value; false, and nothing changes, where the key is there already.
  bool insert(std::uint64_t key, std::uint64_t value) {
    Slot& slot = slots_[place_of(key)];
    if (slot.used) return false;
    slot = {key, value, true};
    return true;
  }

  std::optional<std::uint64_t> find(std::uint64_t key) const {
    const Slot& slot = slots_[place_of(key)];
    if (!slot.used) return {};
    return slot.value;
  }

 private:
  struct Slot {
    std::uint64_t key = 0;
    std::uint64_t value = 0;
    bool used = false;
  };

  /// The slot that holds `key` or would take it; linear probing, at most half of the slots used.
  std::size_t place_of(std::uint64_t key) const {
    std::uint64_t hash = key * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 32;
    std::size_t place = hash & mask_;
    while (slots_[place].used && slots_[place].key != key) place = (place + 1) & mask_;
    return place;
  }

  std::vector<Slot> slots_;
  std::uint64_t mask_;
};

/// The key of an ordered pair of token ids.
inline std::uint64_t pair_key(std::uint32_t left, std::uint32_t right) {
  return (std::uint64_t{left} << 32) | right;
}

}  // namespace ingot
