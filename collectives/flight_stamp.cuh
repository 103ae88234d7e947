// How a kernel makes a stamp of the flight record.
#pragma once

#include <cstdint>

#include "collectives/flight_stamps.hpp"

namespace ingot {

__device__ inline std::uint64_t clock_nanoseconds() {
  std::uint64_t time = 0;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(time));
  return time;
}

__device__ inline void store_for_host(std::uint64_t* to, std::uint64_t value) {
  asm volatile("st.relaxed.sys.global.u64 [%0], %1;" ::"l"(__cvta_generic_to_global(to)), "l"(value)
               : "memory");
}

/// By one thread, the stamp of the call with this number (plus one) once more; nothing where
/// `stamp` is null. A call's number comes last, so that the host takes what an earlier call left
/// for nothing; `kFenced` makes sure of it. A kernel that has no time for a fence does without: for
/// an instant the host may see the new number with an old count. At a replay the number is there
/// already, and nothing waits for the way to the host.
template <bool kFenced>
__device__ inline void make_stamp(FlightStamp* stamp, StampCounter* counter, std::uint64_t number) {
  if (stamp == nullptr) return;
  const bool again = counter->number == number;
  const std::uint64_t count = again ? counter->count + 1 : 1;
  counter->number = number;
  counter->count = count;
  store_for_host(&stamp->nanoseconds, clock_nanoseconds());
  store_for_host(&stamp->count, count);
  if (again) return;
  if constexpr (kFenced) __threadfence_system();
  store_for_host(&stamp->number, number);
}

}  // namespace ingot
