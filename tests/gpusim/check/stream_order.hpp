// The order between pieces of work in different streams. What comes before what is decided when
// work is enqueued: by its stream, by events it waits for, by what the host had waited for. So the
// clocks are made then; what a piece of work touched is known when it ends, and compared then with
// what others touched. Two that are not ordered and touch the same bytes, one of them writing, are
// reported, however the race went this time.
//
// The host counts as one: what any thread waited for is known to all of them. Atomics are no
// accesses here; the engine leaves them out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "check/access_set.hpp"

namespace gpusim {

/// Counts per timeline. A timeline is a stream, or a branch of an executable graph.
class Clock {
 public:
  void join(const Clock& other);
  /// Moves this clock's own timeline on.
  void set(std::uint32_t timeline, std::uint64_t count);
  bool covers(std::uint32_t timeline, std::uint64_t count) const;
  std::uint64_t count(std::uint32_t timeline) const;

 private:
  std::vector<std::pair<std::uint32_t, std::uint64_t>> counts_;  ///< by timeline
};

/// A piece of work: where it stands and what to call it.
struct OrderedWork {
  std::uint32_t timeline = 0;
  std::uint64_t count = 0;
  Clock clock;         ///< of all that comes before, itself included
  std::string name;    ///< "kernel scale", "cudaMemcpyAsync"
  std::string stream;  ///< "stream 2 of device 0"
};

class StreamOrder {
 public:
  static StreamOrder& instance();
  /// A number that no other timeline has.
  std::uint32_t new_timeline();
  /// Compares with all earlier work and remembers. Called before the end of `work` is visible to
  /// whoever waits for it, so that work which comes after it is always checked later.
  void check(const std::shared_ptr<const OrderedWork>& work, const AccessSet& accesses);
  /// The memory was freed: what was done there no longer matters.
  void forget(std::uint64_t begin, std::uint64_t bytes);

 private:
  StreamOrder();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gpusim
