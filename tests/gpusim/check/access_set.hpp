// Which bytes of global memory a piece of work touched, in units of 4 bytes: what the check of
// the order between streams compares.
#pragma once

#include <cstdint>
#include <unordered_map>

namespace gpusim {

constexpr std::uint64_t kAccessUnit = 4;
constexpr std::uint64_t kAccessPage = 4096;
constexpr int kAccessWords = static_cast<int>(kAccessPage / kAccessUnit / 64);

struct PageAccess {
  std::uint64_t read[kAccessWords] = {};  ///< bit u: unit u of the page was read
  std::uint64_t written[kAccessWords] = {};
};

class AccessSet {
 public:
  void read(std::uint64_t address, std::uint64_t bytes) { add(address, bytes, false); }
  void write(std::uint64_t address, std::uint64_t bytes) { add(address, bytes, true); }
  void merge(const AccessSet& other);
  bool empty() const { return pages_.empty(); }
  void clear() { pages_.clear(); }
  /// By page number, address / kAccessPage.
  const std::unordered_map<std::uint64_t, PageAccess>& pages() const { return pages_; }
  PageAccess& page(std::uint64_t number) { return pages_[number]; }

 private:
  void add(std::uint64_t address, std::uint64_t bytes, bool written);
  std::unordered_map<std::uint64_t, PageAccess> pages_;
};

}  // namespace gpusim
