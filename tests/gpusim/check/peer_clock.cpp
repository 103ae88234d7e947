// Joins of flat clocks: one pass over both, which drops what the end of a launch has made moot.
#include "check/peer_clock.hpp"

#include <algorithm>

namespace gpusim {
namespace {

constexpr std::size_t kHead = 4;
constexpr std::size_t kTime = 3;

/// Walks over the places of a clock.
struct Cursor {
  std::span<const std::uint32_t> rest;

  bool done() const { return rest.empty(); }
  PeerClock::Place place() const { return {rest[0], rest[1], rest[2]}; }
  std::uint32_t warps() const { return rest[3]; }
  std::size_t size() const { return kHead + kTime * warps(); }
  std::span<const std::uint32_t> entry() const { return rest.first(size()); }
  WarpTime time(std::uint32_t warp) const {
    const std::size_t at = kHead + kTime * warp;
    return {rest[at], rest[at + 1], rest[at + 2]};
  }
  void next() { rest = rest.subspan(size()); }
};

WarpTime joined(const WarpTime& a, const WarpTime& b) {
  WarpTime result;
  result.all = std::max(a.all, b.all);
  for (const WarpTime& part : {a, b}) {
    if (part.lanes == 0 || part.some <= result.all) continue;
    result.some = std::max(result.some, part.some);
    result.lanes |= part.lanes;
  }
  return result;
}

void append(std::vector<std::uint32_t>& words, const WarpTime& time) {
  words.push_back(time.all);
  words.push_back(time.some);
  words.push_back(time.lanes);
}

/// Appends entries and leaves out those of launches that are known to have ended.
class Writer {
 public:
  explicit Writer(std::vector<std::uint32_t>& words) : words_(words) {}
  void write(const Cursor& a) {
    if (keep(a.place(), a)) words_.insert(words_.end(), a.entry().begin(), a.entry().end());
  }
  void write(const Cursor& a, const Cursor& b) {
    const std::uint32_t warps = std::max(a.warps(), b.warps());
    const PeerClock::Place place = a.place();
    const std::size_t start = words_.size();
    words_.insert(words_.end(), {place.process, place.launch, place.block, warps});
    for (std::uint32_t w = 0; w < warps; ++w) {
      append(words_, joined(w < a.warps() ? a.time(w) : WarpTime{},
                            w < b.warps() ? b.time(w) : WarpTime{}));
    }
    const Cursor whole{std::span<const std::uint32_t>(words_).subspan(start)};
    if (!keep(place, whole)) words_.resize(start);
  }

 private:
  bool keep(const PeerClock::Place& place, const Cursor& entry) {
    if (place.process != process_) {
      process_ = place.process;
      ended_ = 0;
    }
    if (place.launch == 0) {
      ended_ = entry.time(0).all;
      return true;
    }
    return place.launch > ended_;
  }

  std::vector<std::uint32_t>& words_;
  std::uint32_t process_ = 0, ended_ = 0;
};

}  // namespace

void PeerClock::join(std::span<const std::uint32_t> words) {
  if (words.empty()) return;
  std::vector<std::uint32_t> result;
  result.reserve(words_.size() + words.size());
  Writer writer(result);
  Cursor a{words_}, b{words};
  while (!a.done() || !b.done()) {
    if (b.done() || (!a.done() && a.place() < b.place())) {
      writer.write(a);
      a.next();
    } else if (a.done() || b.place() < a.place()) {
      writer.write(b);
      b.next();
    } else {
      writer.write(a, b);
      a.next();
      b.next();
    }
  }
  words_ = std::move(result);
}

void PeerClock::join(const PeerClock& other) {
  join(other.words());
}

void PeerClock::join_warp(const Place& place, std::uint32_t warps, std::uint32_t warp,
                          const WarpTime& time) {
  std::vector<std::uint32_t> words = {place.process, place.launch, place.block, warps};
  for (std::uint32_t w = 0; w < warps; ++w) append(words, w == warp ? time : WarpTime{});
  join(words);
}

void PeerClock::complete_up_to(std::uint32_t process, std::uint32_t launch) {
  join_warp({process, 0, 0}, 1, 0, {launch, 0, 0});
}

void PeerClock::complete(std::uint32_t process, std::uint32_t launch) {
  const std::uint32_t words[] = {process, launch, kWhole, 0};
  join(words);
}

bool PeerClock::knows(const Place& place, std::uint32_t warp, std::uint32_t lane,
                      std::uint32_t time) const {
  for (Cursor cursor{words_}; !cursor.done(); cursor.next()) {
    const Place here = cursor.place();
    if (here.process != place.process) continue;
    if (here.launch == 0 && cursor.time(0).all >= place.launch) return true;
    if (here.launch != place.launch) continue;
    if (here.block == kWhole) return true;
    if (here.block != place.block || warp >= cursor.warps()) continue;
    const WarpTime known = cursor.time(warp);
    if (time <= known.all || (time <= known.some && (known.lanes >> lane & 1) != 0)) return true;
  }
  return false;
}

bool PeerClock::covers(std::span<const std::uint32_t> words) const {
  Cursor a{words_};
  for (Cursor b{words}; !b.done(); b.next()) {
    while (!a.done() && a.place() < b.place()) a.next();
    if (a.done() || a.place() != b.place() || a.warps() < b.warps()) return false;
    for (std::uint32_t w = 0; w < b.warps(); ++w) {
      const WarpTime mine = a.time(w), other = b.time(w);
      const bool lanes = other.some <= mine.all || other.lanes == 0 ||
                         (other.some <= mine.some && (other.lanes & ~mine.lanes) == 0);
      if (other.all > mine.all || !lanes) return false;
    }
  }
  return true;
}

}  // namespace gpusim
