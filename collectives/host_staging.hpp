// How a transport that moves host memory serves a device whose memory the host does not see: a call
// works on pinned host memory, which is copied from and to the device in the stream's order, so
// that it can be recorded.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "collectives/communicator.hpp"

namespace ingot {

class HostStaging {
 public:
  /// Makes room for calls on `stream` that need up to this many bytes; nothing where the host sees
  /// the stream's device.
  void reserve(Stream& stream, std::int64_t bytes);
  /// Copies what the call reads to the host; returns the call to carry out there.
  CollectiveCall copy_in(const CollectiveCall& call, Stream& stream, int ranks);
  /// Copies the result of the staged call, which is enqueued in between, to where `call` wants it;
  /// the own block of an all_gather in place is not touched.
  static void copy_out(const CollectiveCall& call, const CollectiveCall& staged, Stream& stream,
                       int ranks);
  /// A call of a single rank that is not in place: no more than a copy.
  static void copy_alone(const CollectiveCall& call, Stream& stream);

 private:
  /// The stream's order keeps its collectives apart.
  std::map<Stream*, Buffer> buffers_;
  std::vector<Buffer> outgrown_;  ///< of recordings
};

}  // namespace ingot
