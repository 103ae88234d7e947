// Checks an ordered reduce_scatter against a serial sum in the tree's order, on data whose sum
// depends on the order, and counts what ranks send. For any communicator.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "collectives/algorithms/ordered.hpp"

namespace ingot::test {

/// Passes everything on and adds up the bytes that this rank sends to others.
class CountingCommunicator final : public Communicator {
 public:
  CountingCommunicator(std::unique_ptr<Communicator> owned, Communicator& inner)
      : owned_(std::move(owned)), inner_(inner) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::string transport() const override { return inner_.transport(); }
  void share(const Buffer& buffer) override { inner_.share(buffer); }
  void unshare(const Buffer& buffer) override { inner_.unshare(buffer); }
  [[noreturn]] void abort(int exit_code) override {
    inner_.abort(exit_code);
    std::abort();
  }

  /// Sent by this communicator, and by those that were split off it, in the order of the splits.
  std::int64_t sent() const { return *sent_; }
  std::int64_t sent_by_part(std::size_t part) const { return *parts_.at(part); }

 protected:
  std::unique_ptr<Communicator> create_split(int color, int key) override {
    auto owned = inner_.split(color, key);
    Communicator& inner = *owned;
    auto part = std::make_unique<CountingCommunicator>(std::move(owned), inner);
    parts_.push_back(part->sent_);
    return part;
  }
  void enqueue(const CollectiveCall& call, Stream& stream) override {
    // The own block does not travel. An all_gather's `to` is what arrives, from each rank once.
    *sent_ += call.bytes() * (size() - 1);
    if (call.kind == CollectiveKind::kReduceScatter) {
      ensure(size() == 2, "a sum of two, which has no order");
      inner_.reduce_scatter(call.to, call.from, call.count, call.type, call.operation, stream,
                            call.label);
    } else if (call.kind == CollectiveKind::kAllToAll) {
      inner_.all_to_all(call.to, call.from, call.count, call.type, stream, call.label);
    } else {
      ensure(call.kind == CollectiveKind::kAllGather, "a collective that this test counts");
      inner_.all_gather(call.to, call.from, call.count, call.type, stream, call.label);
    }
  }

 private:
  std::unique_ptr<Communicator> owned_;
  Communicator& inner_;
  std::shared_ptr<std::int64_t> sent_ = std::make_shared<std::int64_t>(0);
  std::vector<std::shared_ptr<std::int64_t>> parts_;
};

/// Elements [0, count) of the gradient of one micro batch: numbers of very different sizes, whose
/// sums round.
inline std::vector<float> micro_gradient(std::int64_t micro_batch, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  std::uint32_t state = static_cast<std::uint32_t>(micro_batch) * 2654435761U + 12345U;
  for (float& value : values) {
    state = state * 1664525U + 1013904223U;
    const std::uint32_t exponent = 115U + (state >> 8) % 24U;  // 2^-12 to 2^11
    value = std::bit_cast<float>((state & 0x807fffffU) | exponent << 23);
    if (state % 61U == 0) value = std::copysign(0.0F, value);
  }
  return values;
}

/// Elements [first, first + count) of node [begin, begin + size) of the tree over `leaves`.
inline std::vector<float> serial_tree_sum(const std::vector<std::vector<float>>& leaves,
                                          std::int64_t begin, std::int64_t size, std::int64_t first,
                                          std::int64_t count) {
  if (size == 1) {
    const auto from = leaves[static_cast<std::size_t>(begin)].begin() + first;
    return {from, from + count};
  }
  std::vector<float> sum = serial_tree_sum(leaves, begin, size / 2, first, count);
  if (begin + size / 2 >= static_cast<std::int64_t>(leaves.size())) return sum;
  const auto right = serial_tree_sum(leaves, begin + size / 2, size / 2, first, count);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += right[i];
  return sum;
}

struct OrderedCase {
  std::int64_t accumulation = 1;
  std::int64_t count = 1;  ///< elements of a rank's block
  int node_ranks = 0;
  MicroAssignment assignment = MicroAssignment::kConsecutive;
  bool in_place = false;  ///< into the own block of the first partial
};

inline std::string text_of(const OrderedCase& c) {
  return "accumulation " + std::to_string(c.accumulation) + ", " + std::to_string(c.count) +
         " elements, nodes of " + std::to_string(c.node_ranks) +
         (c.assignment == MicroAssignment::kStrided ? ", strided" : "") +
         (c.in_place ? ", in place" : "");
}

inline void add_slots(std::vector<std::vector<float>>& slots, int merge) {
  auto& into = slots[static_cast<std::size_t>(merge)];
  const auto& from = slots[static_cast<std::size_t>(merge + 1)];
  for (std::size_t i = 0; i < into.size(); ++i) into[i] += from[i];
}

/// Floats in a device's memory, which the host fills and reads through copies on a stream.
class DeviceFloats {
 public:
  DeviceFloats(Stream& stream, const std::vector<float>& values)
      : stream_(stream),
        bytes_(static_cast<std::int64_t>(values.size() * sizeof(float))),
        device_(stream.device().allocate(bytes_, "test")),
        host_(stream.device().allocate_host(bytes_, "test")) {
    set(values);
  }
  void set(const std::vector<float>& values) {
    std::memcpy(host_.data(), values.data(), static_cast<std::size_t>(bytes_));
    stream_.device().copy(stream_, device_.data(), host_.data(), bytes_);
    stream_.synchronize();
  }
  std::vector<float> get() const {
    std::vector<float> values(static_cast<std::size_t>(bytes_) / sizeof(float));
    stream_.device().copy(stream_, host_.data(), device_.data(), bytes_);
    stream_.synchronize();
    std::memcpy(values.data(), host_.data(), static_cast<std::size_t>(bytes_));
    return values;
  }
  float* data() const { return static_cast<float*>(device_.data()); }

 private:
  Stream& stream_;
  std::int64_t bytes_;
  Buffer device_;
  Buffer host_;
};

/// Scratch of a reduction; at least one float.
inline std::vector<float> scratch_of(const OrderedReduction& reduction, std::int64_t count) {
  return std::vector<float>(static_cast<std::size_t>(reduction.scratch_bytes(count) / 4 + 1),
                            1e30F);
}

/// Carries out a whole step's reduction on one rank and compares its shard's bits.
inline void check_ordered(Communicator& ranks, Stream& stream, const OrderedCase& c) {
  const int size = ranks.size();
  const int rank = ranks.rank();
  const std::int64_t micro_batches = c.accumulation * size;
  const ReductionTree tree(micro_batches, size, c.assignment);
  OrderedReduction reduction(ranks, tree, c.node_ranks);
  const bool strided = c.assignment == MicroAssignment::kStrided;
  EXPECT_EQ(reduction.hierarchical(), tree.nodes_are_subtrees(c.node_ranks));

  std::vector<std::vector<float>> leaves;
  for (std::int64_t m = 0; m < micro_batches; ++m) {
    leaves.push_back(micro_gradient(m, size * c.count));
  }
  const std::size_t slot_size = static_cast<std::size_t>(strided ? c.count : size * c.count);
  std::vector<std::vector<float>> slots(static_cast<std::size_t>(tree.slots()),
                                        std::vector<float>(slot_size, 1e30F));
  const DeviceFloats scratch(stream, scratch_of(reduction, c.count));
  const std::vector<LocalStep>& steps = tree.local_steps(rank);
  for (std::size_t a = 0; a < steps.size(); ++a) {
    const auto micro = static_cast<std::int64_t>(a);
    auto& slot = slots[static_cast<std::size_t>(steps[a].slot)];
    if (strided) {
      const DeviceFloats leaf(stream, leaves[static_cast<std::size_t>(micro * size + rank)]);
      const DeviceFloats sum(stream, slot);
      const std::vector<const float*> partials = {leaf.data()};
      reduction.reduce_scatter(sum.data(), partials, c.count, scratch.data(), stream, {"test"});
      slot = sum.get();
    } else {
      slot = leaves[static_cast<std::size_t>(rank * c.accumulation + micro)];
    }
    for (const int merge : steps[a].merges) add_slots(slots, merge);
  }
  std::vector<float> result = slots.front();
  if (!strided) {
    std::deque<DeviceFloats> sent;
    std::vector<const float*> partials;
    for (int p = 0; p < tree.partials(); ++p) {
      partials.push_back(sent.emplace_back(stream, slots[static_cast<std::size_t>(p)]).data());
    }
    const std::int64_t own = rank * c.count;
    const DeviceFloats shard(stream, std::vector<float>(static_cast<std::size_t>(c.count), 1e30F));
    float* to = c.in_place ? sent.front().data() + own : shard.data();
    reduction.reduce_scatter(to, partials, c.count, scratch.data(), stream, {"test"});
    result = (c.in_place ? sent.front() : shard).get();
    if (c.in_place) {
      result.erase(result.begin(), result.begin() + own);
      result.resize(static_cast<std::size_t>(c.count));
    }
  }
  std::int64_t root = 1;
  while (root < micro_batches) root *= 2;
  const auto expected = serial_tree_sum(leaves, 0, root, rank * c.count, c.count);
  EXPECT_EQ(std::memcmp(result.data(), expected.data(), expected.size() * sizeof(float)), 0)
      << "rank " << rank << " of " << size << ": " << text_of(c);
}

/// Every assignment, accumulation, node size and a few odd sizes; on GPUs, which may be simulated,
/// fewer of them.
inline void check_all_ordered(Communicator& ranks, Stream& stream) {
  const int size = ranks.size();
  const bool few = stream.device().kind() == DeviceKind::kCuda;
  for (std::int64_t accumulation = 1; accumulation <= 8; ++accumulation) {
    // More ranks than cores take long.
    if (size > 4 && (accumulation == 4 || accumulation > 5)) continue;
    if (few && accumulation > 3) continue;
    for (const int node_ranks : {0, 1, 2, 3, 4, size}) {
      if (node_ranks > 0 && size % node_ranks != 0) continue;
      for (const std::int64_t count : {1, 259, 1100}) {
        if (few && count == 1 && accumulation > 1) continue;
        if (count > 259 && accumulation > 3) continue;
        OrderedCase c{accumulation, count, node_ranks};
        c.in_place = accumulation % 2 == 0;
        check_ordered(ranks, stream, c);
        if ((size & (size - 1)) != 0) continue;
        c.assignment = MicroAssignment::kStrided;
        c.in_place = false;
        check_ordered(ranks, stream, c);
      }
    }
  }
}

/// A reduction that is recorded, where the device records, gives each replay's own sum.
inline void check_recorded_sum(Communicator& ranks, Stream& stream) {
  const int size = ranks.size();
  constexpr std::int64_t kCount = 300;
  const ReductionTree tree(3 * size, size, MicroAssignment::kConsecutive);
  OrderedReduction reduction(ranks, tree);
  reduction.reserve(stream, kCount);
  const DeviceFloats scratch(stream, scratch_of(reduction, kCount));
  const DeviceFloats shard(stream, std::vector<float>(kCount));
  // Whatever is not a partial of this rank is not looked at.
  std::deque<DeviceFloats> sent;
  std::vector<const float*> partials;
  for (int p = 0; p < tree.partials(); ++p) {
    const std::vector<float> nothing(static_cast<std::size_t>(size * kCount), 1e30F);
    partials.push_back(sent.emplace_back(stream, nothing).data());
  }
  const auto reduce = [&] {
    reduction.reduce_scatter(shard.data(), partials, kCount, scratch.data(), stream, {"test"});
  };
  const auto recording = stream.device().record(stream, "ordered sum", reduce);
  for (std::int64_t step = 0; step < 3; ++step) {
    std::vector<std::vector<float>> leaves;
    for (std::int64_t m = 0; m < tree.micro_batches(); ++m) {
      leaves.push_back(micro_gradient(100 * step + m, size * kCount));
    }
    std::vector<std::vector<float>> slots(static_cast<std::size_t>(tree.slots()));
    std::int64_t micro = std::int64_t{ranks.rank()} * 3;
    for (const LocalStep& local : tree.local_steps(ranks.rank())) {
      slots[static_cast<std::size_t>(local.slot)] = leaves[static_cast<std::size_t>(micro++)];
      for (const int merge : local.merges) add_slots(slots, merge);
    }
    for (int p = 0; p < tree.partials_of(ranks.rank()); ++p) {
      sent[static_cast<std::size_t>(p)].set(slots[static_cast<std::size_t>(p)]);
    }
    if (recording != nullptr) {
      recording->replay(stream);
    } else {
      reduce();
    }
    std::int64_t root = 1;
    while (root < tree.micro_batches()) root *= 2;
    EXPECT_EQ(shard.get(), serial_tree_sum(leaves, 0, root, ranks.rank() * kCount, kCount));
  }
}

}  // namespace ingot::test
