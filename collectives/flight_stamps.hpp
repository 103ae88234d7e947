// What a GPU writes of a collective into host memory when its stream comes to it and past it, with
// no help of the host: readable at any time, even while a captured graph hangs.
#pragma once

#include <atomic>
#include <cstdint>

namespace ingot {

/// Written by the GPU, read by the host.
struct FlightStamp {
  std::uint64_t number = 0;       ///< of the call that the other two belong to, plus one
  std::uint64_t count = 0;        ///< how often the stream has been here in that call
  std::uint64_t nanoseconds = 0;  ///< the GPU's clock, the last time
};

/// How often a stamp was made, kept where the GPU counts fast.
struct StampCounter {
  std::uint64_t number = 0;
  std::uint64_t count = 0;
};

/// Where a kernel that stamps its own call does so (flight_stamp.cuh).
struct StampTarget {
  FlightStamp* start = nullptr;
  FlightStamp* finish = nullptr;
  StampCounter* start_counter = nullptr;
  StampCounter* finish_counter = nullptr;
  std::uint64_t number = 0;  ///< of the call, plus one
};

/// The two stamps of one flight entry.
struct FlightStamps {
  FlightStamp start;
  FlightStamp finish;
  double clock_origin = 0;  ///< flight_clock() when the GPU's clock was 0

  struct Reading {
    std::int64_t count = 0;
    double seconds = 0;  ///< flight_clock(); 0: never
  };
  /// What a stamp says of the call with this number (plus one).
  Reading read(const FlightStamp& stamp, std::uint64_t call) const {
    const auto load = [](const std::uint64_t& field) {
      return std::atomic_ref(const_cast<std::uint64_t&>(field)).load(std::memory_order_acquire);
    };
    if (load(stamp.number) != call) return {};
    return {static_cast<std::int64_t>(load(stamp.count)),
            clock_origin + 1e-9 * static_cast<double>(load(stamp.nanoseconds))};
  }
};

}  // namespace ingot
