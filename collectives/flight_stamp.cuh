// Stamps of the flight record for kernels that make their own, without the fences for which others
// have time: for an instant the host may see a new count with an old time.
#pragma once

#include <cstdint>

#include "collectives/flight_stamps.hpp"

namespace ingot {

__device__ inline void store_for_host(std::uint64_t* to, std::uint64_t value) {
  asm volatile("st.relaxed.sys.global.u64 [%0], %1;" ::"l"(__cvta_generic_to_global(to)), "l"(value)
               : "memory");
}

/// By one thread. `stamp` is null where a call is not stamped.
__device__ inline void make_stamp_here(FlightStamp* stamp, StampCounter* counter,
                                       std::uint64_t number) {
  if (stamp == nullptr) return;
  const bool again = counter->number == number;
  const std::uint64_t count = again ? counter->count + 1 : 1;
  counter->number = number;
  counter->count = count;
  std::uint64_t time = 0;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(time));
  store_for_host(&stamp->nanoseconds, time);
  store_for_host(&stamp->count, count);
  if (!again) store_for_host(&stamp->number, number);
}

}  // namespace ingot
