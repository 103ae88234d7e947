// Checks an ordered reduce_scatter against a serial sum in the tree's order, on data whose sum
// depends on the order, and counts what ranks send. For any communicator.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
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
  std::vector<std::byte> scratch(static_cast<std::size_t>(reduction.scratch_bytes(c.count)));
  std::vector<float> shard(static_cast<std::size_t>(c.count), 1e30F);
  const std::vector<LocalStep>& steps = tree.local_steps(rank);
  for (std::size_t a = 0; a < steps.size(); ++a) {
    const auto micro = static_cast<std::int64_t>(a);
    auto& slot = slots[static_cast<std::size_t>(steps[a].slot)];
    if (strided) {
      auto& leaf = leaves[static_cast<std::size_t>(micro * size + rank)];
      const std::vector<const float*> partials = {leaf.data()};
      reduction.reduce_scatter(slot.data(), partials, c.count, scratch.data(), stream, {"test"});
      stream.synchronize();
    } else {
      slot = leaves[static_cast<std::size_t>(rank * c.accumulation + micro)];
    }
    for (const int merge : steps[a].merges) add_slots(slots, merge);
  }
  const float* result = slots.front().data();
  if (!strided) {
    std::vector<const float*> partials;
    for (int p = 0; p < tree.partials(); ++p) {
      partials.push_back(slots[static_cast<std::size_t>(p)].data());
    }
    float* to = c.in_place ? slots.front().data() + rank * c.count : shard.data();
    reduction.reduce_scatter(to, partials, c.count, scratch.data(), stream, {"test"});
    stream.synchronize();
    result = to;
  }
  std::int64_t root = 1;
  while (root < micro_batches) root *= 2;
  const auto expected = serial_tree_sum(leaves, 0, root, rank * c.count, c.count);
  EXPECT_EQ(std::memcmp(result, expected.data(), expected.size() * sizeof(float)), 0)
      << "rank " << rank << " of " << size << ": " << text_of(c);
}

/// Every assignment, accumulation, node size and a few odd sizes.
inline void check_all_ordered(Communicator& ranks, Stream& stream) {
  const int size = ranks.size();
  for (std::int64_t accumulation = 1; accumulation <= 8; ++accumulation) {
    // More ranks than cores take long.
    if (size > 4 && (accumulation == 4 || accumulation > 5)) continue;
    for (const int node_ranks : {0, 1, 2, 3, 4, size}) {
      if (node_ranks > 0 && size % node_ranks != 0) continue;
      for (const std::int64_t count : {1, 259, 1100}) {
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

}  // namespace ingot::test
