#include "collectives/algorithms/reduction_tree.hpp"

#include <algorithm>
#include <bit>

#include "ops/base/error.hpp"

namespace ingot {

namespace {

bool power_of_two(std::int64_t number) {
  return std::has_single_bit(static_cast<std::uint64_t>(number));
}

/// Walks the tree over `leaves` micro-batches from the root downwards, left before right.
class Walk {
 public:
  explicit Walk(std::int64_t leaves) : leaves_(leaves) {}

  /// enter(begin, end) is called at each node with what it covers and says whether to go into its
  /// halves; add() is called after both halves of one that was gone into, where both exist.
  template <typename Enter, typename Add>
  void run(Enter enter, Add add) const {
    const std::int64_t root = static_cast<std::int64_t>(
        std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(leaves_, 1))));
    visit(0, root, enter, add);
  }

 private:
  template <typename Enter, typename Add>
  void visit(std::int64_t begin, std::int64_t size, Enter& enter, Add& add) const {
    if (!enter(begin, std::min(begin + size, leaves_))) return;
    ensure(size > 1, "sums that begin and end where nodes do");
    const std::int64_t middle = begin + size / 2;
    visit(begin, size / 2, enter, add);
    if (middle >= leaves_) return;
    visit(middle, size / 2, enter, add);
    add(begin, std::min(begin + size, leaves_));
  }

  std::int64_t leaves_;
};

struct Local {
  std::vector<LocalStep> steps;
  std::vector<std::int64_t> ends;  // of the partials that are left: the micro-batch behind each
  int slots = 0;
};

/// What a holder of micro-batches [first, last) of `leaves` can add by itself.
Local local_sums(std::int64_t leaves, std::int64_t first, std::int64_t last) {
  Local local;
  int filled = 0;
  const auto inside = [&](std::int64_t begin, std::int64_t end) {
    return begin >= first && end <= last;
  };
  Walk(leaves).run(
      [&](std::int64_t begin, std::int64_t end) {
        if (end <= first || begin >= last) return false;
        if (end - begin > 1) return true;
        local.steps.push_back({filled++, {}});
        local.ends.push_back(end);
        local.slots = std::max(local.slots, filled);
        return false;
      },
      [&](std::int64_t begin, std::int64_t end) {
        if (!inside(begin, end)) return;
        --filled;
        local.steps.back().merges.push_back(filled - 1);
        local.ends.erase(local.ends.end() - 2);
      });
  return local;
}

}  // namespace

/// Puts the ranks' partials, which tile the micro-batches, into the order of the tree.
struct ReductionTree::Builder {
  ReductionTree& tree;
  struct Partial {
    std::int64_t begin, end;
    TreeItem item;
  };
  std::vector<Partial> partials = {};

  void add_rank(int rank, std::int64_t begin, const std::vector<std::int64_t>& ends) {
    int number = 0;
    for (const std::int64_t end : ends) {
      partials.push_back({begin, end, {rank, number++, 0}});
      begin = end;
    }
  }

  void finish(std::int64_t leaves) {
    std::size_t next = 0;
    int filled = 0;
    Walk(leaves).run(
        [&](std::int64_t begin, std::int64_t end) {
          const Partial& partial = partials.at(next);
          if (partial.begin != begin || partial.end != end) return true;
          ++next;
          tree.items_.push_back(partial.item);
          tree.depth_ = std::max(tree.depth_, ++filled);
          return false;
        },
        [&](std::int64_t, std::int64_t) {
          --filled;
          ++tree.items_.back().merges;
        });
    ensure(next == partials.size() && filled == 1, "partial sums that tile the tree");
  }
};

ReductionTree::ReductionTree(std::int64_t micro_batches, int ranks, MicroAssignment assignment)
    : micro_batches_(micro_batches), ranks_(ranks), assignment_(assignment) {
  ensure(ranks > 0 && micro_batches > 0 && micro_batches % ranks == 0,
         "micro-batches that the ranks share evenly");
  const std::int64_t own = micro_batches / ranks;
  Builder builder{*this};
  if (assignment == MicroAssignment::kStrided) {
    ensure(power_of_two(ranks), "a power of two of ranks for steps that are nodes of the tree");
    // What is left of a step is node a of level log2 R: the steps are leaves of a tree of their
    // own.
    Local local = local_sums(own, 0, own);
    slots_ = local.slots;
    local_.push_back(std::move(local.steps));
    partials_of_.assign(static_cast<std::size_t>(ranks), 1);
    for (int rank = 0; rank < ranks; ++rank) builder.add_rank(rank, rank, {rank + 1});
    builder.finish(ranks);
    return;
  }
  for (int rank = 0; rank < ranks; ++rank) {
    Local local = local_sums(micro_batches, rank * own, (rank + 1) * own);
    slots_ = std::max(slots_, local.slots);
    partials_of_.push_back(static_cast<int>(local.ends.size()));
    partials_ = std::max(partials_, partials_of_.back());
    builder.add_rank(rank, rank * own, local.ends);
    local_.push_back(std::move(local.steps));
  }
  builder.finish(micro_batches);
}

const std::vector<LocalStep>& ReductionTree::local_steps(int rank) const {
  ensure(rank >= 0 && rank < ranks_, "a rank of the reduction");
  return local_[assignment_ == MicroAssignment::kStrided ? 0 : static_cast<std::size_t>(rank)];
}

int ReductionTree::partials_of(int rank) const {
  ensure(rank >= 0 && rank < ranks_, "a rank of the reduction");
  return partials_of_[static_cast<std::size_t>(rank)];
}

bool ReductionTree::nodes_are_subtrees(int node_ranks) const {
  if (node_ranks <= 1 || node_ranks >= ranks_ || ranks_ % node_ranks != 0) return false;
  const std::int64_t per_rank =
      assignment_ == MicroAssignment::kStrided ? 1 : micro_batches_ / ranks_;
  return power_of_two(node_ranks * per_rank);
}

std::vector<int> aligned_merges(int count) {
  const ReductionTree tree(count, count, MicroAssignment::kConsecutive);
  std::vector<int> merges;
  for (const TreeItem& item : tree.items()) merges.push_back(item.merges);
  return merges;
}

}  // namespace ingot
