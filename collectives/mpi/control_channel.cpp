#include "collectives/mpi/control_channel.hpp"

#include <algorithm>
#include <utility>

namespace ingot::mpi {

ControlChannel::ControlChannel(ProgressThread& progress, Group group)
    : progress_(progress), group_(std::move(group)) {}

void ControlChannel::run(CollectiveCall call, const char* what) {
  call.sequence = sequence_++;
  call.label = {what, -1};
  call.flight = &flight_.add(call, false);
  collective_.set({call, &group_});
  call.flight->start();
  progress_.post(collective_);
  progress_.wait(collective_);
  call.flight->finish();
}

std::vector<std::string> ControlChannel::all_gather_bytes(const std::string& mine) {
  const std::scoped_lock lock(mutex_);
  const auto ranks = static_cast<std::size_t>(group_.size());
  const auto length = static_cast<std::int64_t>(mine.size());
  std::vector<std::int64_t> lengths(ranks);
  run({.kind = Kind::kAllGather,
       .to = lengths.data(),
       .from = &length,
       .count = 1,
       .type = DType::kI64},
      "lengths of control messages");
  const std::int64_t longest = *std::ranges::max_element(lengths);
  std::string padded = mine;
  padded.resize(static_cast<std::size_t>(longest));
  std::string all(ranks * padded.size(), '\0');
  run({.kind = Kind::kAllGather, .to = all.data(), .from = padded.data(), .count = longest},
      "control messages");
  std::vector<std::string> result;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    result.push_back(all.substr(rank * padded.size(), static_cast<std::size_t>(lengths[rank])));
  }
  return result;
}

std::string ControlChannel::broadcast_bytes(const std::string& mine, int root) {
  const std::scoped_lock lock(mutex_);
  auto length = static_cast<std::int64_t>(mine.size());
  run({.kind = Kind::kBroadcast, .to = &length, .count = 1, .type = DType::kI64, .root = root},
      "length of a control message");
  std::string text = mine;
  text.resize(static_cast<std::size_t>(length));
  run({.kind = Kind::kBroadcast, .to = text.data(), .count = length, .root = root},
      "control message");
  return text;
}

std::int64_t ControlChannel::reduce(std::int64_t mine, ReduceOperation operation) {
  const std::scoped_lock lock(mutex_);
  run({.kind = Kind::kAllReduce,
       .to = &mine,
       .count = 1,
       .type = DType::kI64,
       .operation = operation},
      "agreement on a number");
  return mine;
}

std::int64_t ControlChannel::max(std::int64_t mine) {
  return reduce(mine, ReduceOperation::kMax);
}

std::int64_t ControlChannel::min(std::int64_t mine) {
  return reduce(mine, ReduceOperation::kMin);
}

double ControlChannel::sum(double mine) {
  const std::scoped_lock lock(mutex_);
  run({.kind = Kind::kAllReduce, .to = &mine, .count = 1, .type = DType::kF64}, "sum of a number");
  return mine;
}

void ControlChannel::barrier() {
  const std::scoped_lock lock(mutex_);
  run({.kind = Kind::kBarrier}, "control barrier");
}

}  // namespace ingot::mpi
