// What one rank says of its collectives, as a plain value: the contents of a file
// flight/rank-00003.json, and what a rank answers when another one asks where it is. README.md has
// the format.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "collectives/communicator.hpp"

namespace ingot {

/// One call of a communicator. In a FlightRecord's snapshot times are of flight_clock(); in a
/// report they are seconds since 1970, so that reports of several machines can be compared. 0: not
/// yet.
struct FlightCall {
  std::uint64_t sequence = 0;
  CollectiveKind kind = CollectiveKind::kBarrier;
  DType type = DType::kU8;
  ReduceOperation operation = ReduceOperation::kSum;
  int root = 0;
  std::int64_t count = 0;
  std::string label;
  bool checking = false;  ///< waits for the comparison of collectives.check
  bool failed = false;    ///< the transport threw
  std::int64_t starts = 0;
  std::int64_t finishes = 0;  ///< as starts once it is complete; more than 1 for recorded calls
  double enqueued = 0;
  double started = 0;
  double moved = 0;
  double finished = 0;

  bool in_flight() const { return checking || starts > finishes; }
  /// When the exchange last began or moved.
  double last_move() const { return moved > started ? moved : started; }
  std::int64_t bytes() const { return count * size_of(type); }
  /// Whether two ranks' calls fit together.
  bool same_call(const FlightCall& other) const;
  friend bool operator==(const FlightCall&, const FlightCall&) = default;
};

/// "all_reduce of 4096 f32 (sum), bucket 3".
std::string describe(const FlightCall& call);

struct FlightReport {
  struct Group {
    std::string name;  ///< of the communicator: "all", or that of a part
    int size = 0;      ///< its ranks
    std::vector<FlightCall> calls;

    /// The call that is in flight and did not move for longest; null where there is none.
    const FlightCall* longest_in_flight() const;
    /// The one that was completed last; null where there is none.
    const FlightCall* last_finished() const;
    const FlightCall* find(std::uint64_t sequence) const;
    friend bool operator==(const Group&, const Group&) = default;
  };

  int rank = 0;
  int ranks = 1;
  std::string host;
  std::int64_t pid = 0;
  std::int64_t step = -1;  ///< that the rank is in; -1: not training
  std::string activity;    ///< "training", "saving"; may be empty
  double written = 0;      ///< seconds since 1970
  std::vector<Group> groups;

  const Group* find(std::string_view name) const;
  /// Forgets all but the newest calls of each group and those in flight.
  void keep_last(std::size_t calls);
  friend bool operator==(const FlightReport&, const FlightReport&) = default;
};

std::string to_json(const FlightReport& report);
/// Throws Error(kBadData) where the text is not a report.
FlightReport parse_flight_report(std::string_view json);

}  // namespace ingot
