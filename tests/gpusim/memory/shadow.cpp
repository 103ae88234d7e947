// The shadow of a block: one bit per byte that says whether it was ever written.
#include "memory/address_space.hpp"

namespace gpusim {
namespace {

/// Calls visit(word, bits) for the words that cover `count` bytes from byte `offset` of a block,
/// until it returns false.
template <typename Visit>
bool for_words(std::uint64_t offset, std::uint64_t count, Visit visit) {
  std::uint64_t end = offset + count;
  while (offset < end) {
    std::uint64_t word = offset / 64;
    std::uint64_t first = offset % 64;
    std::uint64_t last = end - word * 64;  // exclusive
    std::uint64_t bits = ~0ULL << first;
    if (last < 64) bits &= (1ULL << last) - 1;
    if (!visit(word, bits)) return false;
    offset = (word + 1) * 64;
  }
  return true;
}

}  // namespace

void Allocation::mark_initialised(std::uint64_t address, std::uint64_t count) const {
  if (initialised == nullptr) return;
  for_words(address - begin, count, [this](std::uint64_t word, std::uint64_t bits) {
    if (bits == ~0ULL) {
      initialised[word].store(bits, std::memory_order_relaxed);
    } else if ((initialised[word].load(std::memory_order_relaxed) & bits) != bits) {
      initialised[word].fetch_or(bits, std::memory_order_relaxed);
    }
    return true;
  });
}

bool Allocation::is_initialised(std::uint64_t address, std::uint64_t count) const {
  if (initialised == nullptr) return true;
  return for_words(address - begin, count, [this](std::uint64_t word, std::uint64_t bits) {
    return (initialised[word].load(std::memory_order_relaxed) & bits) == bits;
  });
}

}  // namespace gpusim
