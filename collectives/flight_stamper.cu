#include "collectives/flight_stamp.cuh"
#include "collectives/flight_stamp_kernels.hpp"

namespace ingot {
namespace {

__global__ void make_stamp_kernel(FlightStamp* stamp, StampCounter* counter, std::uint64_t number) {
  make_stamp<true>(stamp, counter, number);
}

__global__ void read_clock(std::uint64_t* time) {
  *time = clock_nanoseconds();
}

}  // namespace

void launch_make_stamp(FlightStamp* stamp, StampCounter* counter, std::uint64_t number,
                       cudaStream_t stream) {
  make_stamp_kernel<<<1, 1, 0, stream>>>(stamp, counter, number);
}

void launch_read_clock(std::uint64_t* time, cudaStream_t stream) {
  read_clock<<<1, 1, 0, stream>>>(time);
}

}  // namespace ingot
