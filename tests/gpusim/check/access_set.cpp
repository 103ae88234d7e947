// Sets of touched units, see access_set.hpp.
#include "check/access_set.hpp"

#include <algorithm>

namespace gpusim {

void AccessSet::add(std::uint64_t address, std::uint64_t bytes, bool written) {
  if (bytes == 0) return;
  constexpr std::uint64_t kUnits = kAccessPage / kAccessUnit;
  const std::uint64_t end = (address + bytes - 1) / kAccessUnit + 1;
  std::uint64_t unit = address / kAccessUnit;
  while (unit < end) {
    const std::uint64_t page = unit / kUnits;
    PageAccess& access = pages_[page];
    std::uint64_t* bits = written ? access.written : access.read;
    const std::uint64_t stop = std::min(end, (page + 1) * kUnits);
    while (unit < stop) {
      const std::uint64_t from = unit % 64;
      const std::uint64_t width = std::min(64 - from, stop - unit);
      bits[unit % kUnits / 64] |= (width == 64 ? ~0ULL : (1ULL << width) - 1) << from;
      unit += width;
    }
  }
}

void AccessSet::merge(const AccessSet& other) {
  for (const auto& [number, access] : other.pages_) {
    PageAccess& mine = pages_[number];
    for (int word = 0; word < kAccessWords; ++word) {
      mine.read[word] |= access.read[word];
      mine.written[word] |= access.written[word];
    }
  }
}

}  // namespace gpusim
