// Puts the stamps of flight entries on streams of a GPU: a kernel of one thread before and after
// each exchange, which graphs repeat at each replay. Part of the CUDA module.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <deque>

#include "collectives/communicator.hpp"
#include "collectives/flight_stamps.hpp"

namespace ingot {

class FlightStamper {
 public:
  /// Reads the GPU's clock once.
  explicit FlightStamper(Device& device);
  FlightStamper(const FlightStamper&) = delete;
  FlightStamper& operator=(const FlightStamper&) = delete;

  /// Makes room for the stamps of a call that is about to be put on a stream. Allocates where more
  /// calls are remembered at once than ever before.
  void prepare(FlightEntry& entry);
  /// The stream has come to the call, and past it. The entry was prepared.
  static void start(const CollectiveCall& call, cudaStream_t stream);
  static void finish(const CollectiveCall& call, cudaStream_t stream);
  /// For a kernel that makes both stamps itself. The entry was prepared.
  static StampTarget target(const CollectiveCall& call);

 private:
  using Counter = StampCounter;
  struct Stamps;  ///< FlightStamps and where its counters are
  static constexpr std::int64_t kChunk = 1024;
  struct Chunk {
    Buffer stamps;    ///< pinned
    Buffer counters;  ///< the GPU's, two per entry
  };

  void add_chunk();

  Device& device_;
  double clock_origin_ = 0;
  std::unique_ptr<Stream> stream_;  ///< for setting up
  std::deque<Chunk> chunks_;
  std::int64_t used_ = 0;
};

}  // namespace ingot
