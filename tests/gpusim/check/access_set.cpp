// Sets of touched units, see access_set.hpp.
#include "check/access_set.hpp"

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
    for (int half = 0; half < 2; ++half) {
      const std::uint64_t begin = page * kUnits + static_cast<std::uint64_t>(half) * 64;
      const std::uint64_t from = unit > begin ? unit - begin : 0;
      const std::uint64_t to = end - begin < 64 ? end - begin : 64;
      if (unit >= begin + 64 || end <= begin || from >= to) continue;
      const std::uint64_t width = to - from;
      bits[half] |= (width == 64 ? ~0ULL : (1ULL << width) - 1) << from;
    }
    unit = (page + 1) * kUnits;
  }
}

void AccessSet::merge(const AccessSet& other) {
  for (const auto& [number, access] : other.pages_) {
    PageAccess& mine = pages_[number];
    for (int half = 0; half < 2; ++half) {
      mine.read[half] |= access.read[half];
      mine.written[half] |= access.written[half];
    }
  }
}

}  // namespace gpusim
