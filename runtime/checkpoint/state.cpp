#include "runtime/checkpoint/state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "ops/base/error.hpp"

namespace ingot {

void StateKind::read(std::int64_t first, std::span<float> to) const {
  const float* from = values.subspan(static_cast<std::size_t>(first), to.size()).data();
  if (transfer != nullptr) {
    transfer->read(to.data(), from, static_cast<std::int64_t>(to.size_bytes()));
  } else {
    std::copy_n(from, to.size(), to.data());
  }
}

void StateKind::write(std::int64_t first, std::span<const std::byte> from) const {
  const auto to = values.subspan(static_cast<std::size_t>(first), from.size() / sizeof(float));
  if (transfer != nullptr) {
    transfer->write(to.data(), from.data(), static_cast<std::int64_t>(to.size_bytes()));
  } else {
    std::memcpy(to.data(), from.data(), to.size_bytes());
  }
}

std::vector<HeldRange> held_ranges(const StateKind& kind, const StoreLayout& layout) {
  std::vector<HeldRange> ranges = kind.held;
  if (ranges.empty()) ranges.push_back({0, 0, layout.elements});
  const auto size = static_cast<std::int64_t>(kind.values.size());
  std::int64_t end = 0;
  for (const HeldRange& range : ranges) {
    ensure(range.flat >= end && range.count >= 0, "held ranges in the order of the store");
    end = range.flat + range.count;
    ensure(range.local >= 0 && (kind.values.empty() || range.local + range.count <= size),
           "held ranges inside the buffer");
  }
  ensure(end <= layout.elements, "held ranges inside the store");
  return ranges;
}

std::vector<HeldRange> ranges_of_shard(std::span<const Bucket> buckets, int shard, int shards) {
  std::vector<HeldRange> ranges;
  for (const Bucket& bucket : buckets) {
    ensure(bucket.offset % shards == 0 && bucket.count % shards == 0, "buckets of whole shards");
    const std::int64_t count = bucket.count / shards;
    ranges.push_back({bucket.offset + shard * count, bucket.offset / shards, count});
  }
  return ranges;
}

std::vector<StateDifference> differences(const TrainingState& saved, const TrainingState& now) {
  std::vector<StateDifference> found;
  const auto compare = [&](const char* what, const auto& before, const auto& after, bool breaks) {
    if (before != after) {
      found.push_back({what, fmt::format("{}", before), fmt::format("{}", after), breaks});
    }
  };
  compare("optimizer.kind", saved.optimizer, now.optimizer, true);
  compare("run.seed", saved.seed, now.seed, true);
  compare("the data's checksum", saved.data_checksum, now.data_checksum, true);
  compare("the sampler's version", saved.sampler_version, now.sampler_version, true);
  compare("train.precision", saved.precision, now.precision, false);
  compare("the numerics fingerprint", saved.fingerprint, now.fingerprint, false);
  return found;
}

}  // namespace ingot
