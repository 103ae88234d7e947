// The kernels of flight stamps, as the host launches them. Plain: nvcc reads this file too.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "collectives/flight_stamps.hpp"

namespace ingot {

/// Makes the stamp of the call with this number (plus one) once more.
void launch_make_stamp(FlightStamp* stamp, StampCounter* counter, std::uint64_t number,
                       cudaStream_t stream);
/// The GPU's clock in nanoseconds, into memory of the host.
void launch_read_clock(std::uint64_t* time, cudaStream_t stream);

}  // namespace ingot
