#include "collectives/host_staging.hpp"

#include <algorithm>
#include <utility>

#include "ops/base/error.hpp"

namespace ingot {

void HostStaging::reserve(Stream& stream, std::int64_t bytes) {
  Device& device = stream.device();
  if (device.host_visible()) return;
  Buffer& staging = buffers_[&stream];
  if (staging.bytes() >= bytes && staging.data() != nullptr) return;
  ensure(!stream.recording(), "room for a recorded collective that was reserved before");
  // Earlier collectives of the stream may still use the smaller one, recorded ones at each replay.
  if (staging.data() != nullptr) outgrown_.push_back(std::move(staging));
  staging = device.allocate_host(std::max<std::int64_t>(bytes, 1), "collectives");
}

CollectiveCall HostStaging::copy_in(const CollectiveCall& call, Stream& stream, int ranks) {
  const std::int64_t from_bytes = call.from_bytes(ranks);
  const std::int64_t to_bytes = call.to_bytes(ranks);
  reserve(stream, from_bytes + to_bytes);
  CollectiveCall staged = call;
  staged.to = buffers_.at(&stream).data();
  if (call.in_place()) {
    stream.device().copy(stream, staged.to, call.to, to_bytes);
  } else {
    void* from = static_cast<std::byte*>(staged.to) + to_bytes;
    stream.device().copy(stream, from, call.from, from_bytes);
    staged.from = from;
  }
  return staged;
}

void HostStaging::copy_out(const CollectiveCall& call, const CollectiveCall& staged, Stream& stream,
                           int ranks) {
  const std::int64_t bytes = call.to_bytes(ranks);
  auto* to = static_cast<std::byte*>(call.to);
  const auto* from = static_cast<const std::byte*>(staged.to);
  const auto copy = [&](std::int64_t begin, std::int64_t end) {
    if (begin < end) stream.device().copy(stream, to + begin, from + begin, end - begin);
  };
  const auto* own = static_cast<const std::byte*>(call.from);
  if (call.kind == CollectiveKind::kAllGather && own >= to && own < to + bytes) {
    // In place: the own block is there, and others may read it meanwhile.
    copy(0, own - to);
    copy(own - to + call.bytes(), bytes);
  } else {
    copy(0, bytes);
  }
}

void HostStaging::copy_alone(const CollectiveCall& call, Stream& stream) {
  // Nobody can keep it waiting: it counts as done when it is enqueued.
  call.flight->start();
  if (call.to != call.from) stream.device().copy(stream, call.to, call.from, call.bytes());
  call.flight->finish();
}

}  // namespace ingot
