#include <new>

#include "collectives/flight_record.hpp"
#include "collectives/flight_stamp_kernels.hpp"
#include "collectives/flight_stamper.hpp"
#include "ops/device/cuda/check.hpp"
#include "ops/device/cuda/cuda_device.hpp"

namespace ingot {

struct FlightStamper::Stamps : FlightStamps {
  Counter* start_counter = nullptr;
  Counter* finish_counter = nullptr;
};

namespace {

using cuda::check;
using cuda::native;

}  // namespace

FlightStamper::FlightStamper(Device& device)
    : device_(device), stream_(device.create_stream("flight stamps")) {
  const Buffer time = device.allocate_host(sizeof(std::uint64_t), "clock");
  auto* nanoseconds = static_cast<std::uint64_t*>(time.data());
  // The first launch loads code; the second meets an idle GPU.
  for (int i = 0; i < 2; ++i) {
    const double before = flight_clock();
    launch_read_clock(nanoseconds, native(*stream_));
    check(cudaGetLastError(), "launch of read_clock");
    stream_->synchronize();
    const double middle = (before + flight_clock()) / 2;
    clock_origin_ = middle - 1e-9 * static_cast<double>(*nanoseconds);
  }
  add_chunk();
}

void FlightStamper::add_chunk() {
  Chunk& chunk = chunks_.emplace_back();
  chunk.stamps = device_.allocate_host(kChunk * sizeof(Stamps), "flight record");
  chunk.counters = device_.allocate(kChunk * 2 * sizeof(Counter), "flight record");
  device_.fill_zero(*stream_, chunk.counters.data(), chunk.counters.bytes());
  stream_->synchronize();
  auto* counters = static_cast<Counter*>(chunk.counters.data());
  for (std::int64_t i = 0; i < kChunk; ++i) {
    auto* stamps = new (static_cast<Stamps*>(chunk.stamps.data()) + i) Stamps;
    stamps->clock_origin = clock_origin_;
    stamps->start_counter = counters + 2 * i;
    stamps->finish_counter = counters + 2 * i + 1;
  }
}

void FlightStamper::prepare(FlightEntry& entry) {
  if (entry.stamps() != nullptr) return;
  if (used_ == static_cast<std::int64_t>(chunks_.size()) * kChunk) add_chunk();
  entry.set_stamps(static_cast<Stamps*>(chunks_.back().stamps.data()) + used_ % kChunk);
  ++used_;
}

void FlightStamper::start(const CollectiveCall& call, cudaStream_t stream) {
  auto* stamps = static_cast<Stamps*>(call.flight->stamps());
  launch_make_stamp(&stamps->start, stamps->start_counter, call.sequence + 1, stream);
  check(cudaGetLastError(), "launch of make_stamp");
}

StampTarget FlightStamper::target(const CollectiveCall& call) {
  auto* stamps = static_cast<Stamps*>(call.flight->stamps());
  return {&stamps->start, &stamps->finish, stamps->start_counter, stamps->finish_counter,
          call.sequence + 1};
}

void FlightStamper::finish(const CollectiveCall& call, cudaStream_t stream) {
  auto* stamps = static_cast<Stamps*>(call.flight->stamps());
  launch_make_stamp(&stamps->finish, stamps->finish_counter, call.sequence + 1, stream);
  check(cudaGetLastError(), "launch of make_stamp");
}

}  // namespace ingot
