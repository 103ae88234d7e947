// Per page of 4 KiB the work that touched it last, in units of 4 bytes. An entry's units go where
// later work that is ordered behind it touches them again (a read does not replace a write), so a
// page holds about as many entries as streams use it at once.
#include "check/stream_order.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <sstream>
#include <unordered_map>

#include "machine/machine.hpp"
#include "memory/address_space.hpp"

namespace gpusim {

void Clock::join(const Clock& other) {
  if (other.counts_.empty()) return;
  if (counts_.empty()) {
    counts_ = other.counts_;
    return;
  }
  std::vector<std::pair<std::uint32_t, std::uint64_t>> merged;
  merged.reserve(counts_.size() + other.counts_.size());
  auto a = counts_.begin();
  auto b = other.counts_.begin();
  while (a != counts_.end() || b != other.counts_.end()) {
    if (b == other.counts_.end() || (a != counts_.end() && a->first < b->first)) {
      merged.push_back(*a++);
    } else if (a == counts_.end() || b->first < a->first) {
      merged.push_back(*b++);
    } else {
      merged.emplace_back(a->first, std::max(a->second, b->second));
      ++a;
      ++b;
    }
  }
  counts_ = std::move(merged);
}

void Clock::set(std::uint32_t timeline, std::uint64_t count) {
  auto place =
      std::lower_bound(counts_.begin(), counts_.end(), timeline,
                       [](const auto& entry, std::uint32_t value) { return entry.first < value; });
  if (place != counts_.end() && place->first == timeline) {
    place->second = std::max(place->second, count);
  } else {
    counts_.insert(place, {timeline, count});
  }
}

std::uint64_t Clock::count(std::uint32_t timeline) const {
  auto place =
      std::lower_bound(counts_.begin(), counts_.end(), timeline,
                       [](const auto& entry, std::uint32_t value) { return entry.first < value; });
  return place != counts_.end() && place->first == timeline ? place->second : 0;
}

bool Clock::covers(std::uint32_t timeline, std::uint64_t wanted) const {
  return count(timeline) >= wanted;
}

namespace {

struct Entry {
  std::shared_ptr<const OrderedWork> work;
  PageAccess access;
  bool empty() const {
    std::uint64_t any = 0;
    for (int word = 0; word < kAccessWords; ++word) any |= access.read[word] | access.written[word];
    return any == 0;
  }
};

std::string conflict_text(const Entry& before, const OrderedWork& work, std::uint64_t page,
                          const PageAccess& access) {
  // The first unit that both touch, and how.
  for (int unit = 0; unit < 64 * kAccessWords; ++unit) {
    const int word = unit / 64;
    const std::uint64_t bit = 1ULL << (unit % 64);
    const bool wrote_before = (before.access.written[word] & bit) != 0;
    const bool wrote = (access.written[word] & bit) != 0;
    const bool touched = wrote || (access.read[word] & bit) != 0;
    const bool touched_before = wrote_before || (before.access.read[word] & bit) != 0;
    if (!touched || !touched_before || (!wrote && !wrote_before)) continue;
    const std::uint64_t address =
        page * kAccessPage + static_cast<std::uint64_t>(unit) * kAccessUnit;
    std::ostringstream text;
    text << before.work->name << " in " << before.work->stream
         << (wrote_before ? " writes" : " reads") << " and " << work.name << " in " << work.stream
         << (wrote ? " writes" : " reads")
         << " the same memory, and nothing orders them (an event, a synchronisation): address 0x"
         << std::hex << address << std::dec << ", ";
    // A unit may begin before the block that it holds bytes of.
    std::string where = AddressSpace::instance().describe(address);
    if (AddressSpace::instance().find(address) == nullptr) {
      where = AddressSpace::instance().describe(address + kAccessUnit - 1);
    }
    text << where;
    return text.str();
  }
  return "";
}

}  // namespace

struct StreamOrder::State {
  std::mutex mutex;
  std::unordered_map<std::uint64_t, std::vector<Entry>> pages;
  std::atomic<std::uint32_t> timelines{0};
};

StreamOrder::StreamOrder() : state_(std::make_unique<State>()) {}

StreamOrder& StreamOrder::instance() {
  static StreamOrder* order = new StreamOrder;
  return *order;
}

std::uint32_t StreamOrder::new_timeline() {
  return state_->timelines.fetch_add(1) + 1;
}

void StreamOrder::check(const std::shared_ptr<const OrderedWork>& work, const AccessSet& accesses) {
  std::vector<std::string> reports;
  {
    std::lock_guard lock(state_->mutex);
    for (const auto& [page, access] : accesses.pages()) {
      std::vector<Entry>& entries = state_->pages[page];
      for (Entry& entry : entries) {
        if (work->clock.covers(entry.work->timeline, entry.work->count)) {
          for (int word = 0; word < kAccessWords; ++word) {
            entry.access.written[word] &= ~access.written[word];
            entry.access.read[word] &= ~(access.written[word] | access.read[word]);
          }
          continue;
        }
        std::uint64_t common = 0;
        for (int word = 0; word < kAccessWords; ++word) {
          common |= entry.access.written[word] & (access.written[word] | access.read[word]);
          common |= entry.access.read[word] & access.written[word];
        }
        if (common != 0) reports.push_back(conflict_text(entry, *work, page, access));
      }
      std::erase_if(entries, [](const Entry& entry) { return entry.empty(); });
      entries.push_back({work, access});
    }
  }
  // One report per pair of works, not one per page.
  if (!reports.empty()) report_problem("stream order", reports.front());
}

void StreamOrder::forget(std::uint64_t begin, std::uint64_t bytes) {
  if (bytes == 0) return;
  std::lock_guard lock(state_->mutex);
  const std::uint64_t first = begin / kAccessPage;
  const std::uint64_t last = (begin + bytes - 1) / kAccessPage;
  if (last - first + 1 > state_->pages.size()) {
    std::erase_if(state_->pages,
                  [&](const auto& page) { return page.first >= first && page.first <= last; });
    return;
  }
  for (std::uint64_t page = first; page <= last; ++page) state_->pages.erase(page);
}

}  // namespace gpusim
