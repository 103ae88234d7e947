#include "collectives/algorithms/ordered.hpp"

#include <algorithm>

#include "collectives/cuda_collectives.hpp"
#include "ops/base/error.hpp"

namespace ingot {

namespace {

/// Sums that may be enqueued before objects for more are allocated.
constexpr std::size_t kPrepared = 256;

constexpr auto kFloat = static_cast<std::int64_t>(sizeof(float));

/// Of partial p of rank r in block p * ranks + r, as one all_to_all per partial leaves them.
TreeSum sum_of_partials(const ReductionTree& tree) {
  std::vector<TreeSumItem> items;
  for (const TreeItem& item : tree.items()) {
    items.push_back({std::int64_t{item.partial} * tree.ranks() + item.rank, item.merges});
  }
  return TreeSum(std::move(items));
}

/// Of blocks in their order, which are nodes of one level.
TreeSum sum_of_equals(int count) {
  std::vector<TreeSumItem> items;
  for (const int merges : aligned_merges(count)) {
    items.push_back({static_cast<std::int64_t>(items.size()), merges});
  }
  return TreeSum(std::move(items));
}

}  // namespace

struct OrderedReduction::Sum {
  explicit Sum(OrderedReduction& reduction) : owner(reduction) {}
  OrderedReduction& owner;
  const TreeSum* tree = nullptr;
  float* to = nullptr;
  const float* blocks = nullptr;
  std::int64_t count = 0;
  float* scratch = nullptr;
  bool recorded = false;
};

OrderedReduction::OrderedReduction(Communicator& ranks, const ReductionTree& tree, int node_ranks)
    : ranks_(ranks),
      tree_(tree),
      node_ranks_(node_ranks),
      flat_(sum_of_partials(tree)),
      within_node_(sum_of_equals(std::max(node_ranks, 1))),
      over_nodes_(sum_of_equals(node_ranks > 0 ? std::max(tree.ranks() / node_ranks, 1) : 1)) {
  ensure(ranks.size() == tree.ranks(), "a tree over the ranks of the communicator");
  if (tree.nodes_are_subtrees(node_ranks)) {
    node_ = ranks.split(ranks.rank() / node_ranks, ranks.rank());
    rail_ = ranks.split(ranks.rank() % node_ranks, ranks.rank());
  }
  free_.reserve(kPrepared);
  for (std::size_t i = 0; i < kPrepared; ++i) free_.push_back(&sums_.emplace_back(*this));
}

OrderedReduction::~OrderedReduction() = default;

std::int64_t OrderedReduction::scratch_bytes(const ReductionTree& tree, int node_ranks,
                                             std::int64_t count) {
  const int ranks = tree.ranks();
  if (ranks == 1 || (ranks == 2 && tree.partials() == 1)) return 0;
  if (!tree.nodes_are_subtrees(node_ranks)) {
    const std::int64_t blocks = std::int64_t{tree.partials()} * ranks * count;
    return (blocks + sum_of_partials(tree).scratch_count()) * kFloat;
  }
  const int nodes = ranks / node_ranks;
  return ((node_ranks + 2 * nodes) * count + std::max(sum_of_equals(node_ranks).scratch_count(),
                                                      sum_of_equals(nodes).scratch_count())) *
         kFloat;
}

void OrderedReduction::reserve(Stream& stream, std::int64_t count) {
  const auto both = [&](Communicator& ranks) { return 2 * ranks.size() * count * kFloat; };
  if (node_ == nullptr) return ranks_.reserve(stream, both(ranks_));
  node_->reserve(stream, both(*node_));
  rail_->reserve(stream, both(*rail_));
}

void OrderedReduction::share(const Buffer& buffer) {
  if (node_ != nullptr) node_->share(buffer);
}

void OrderedReduction::unshare(const Buffer& buffer) {
  if (node_ != nullptr) node_->unshare(buffer);
}

void OrderedReduction::reduce_scatter(float* to, std::span<const float* const> partials,
                                      std::int64_t count, void* scratch, Stream& stream,
                                      CollectiveLabel label) {
  ensure(static_cast<int>(partials.size()) == tree_.partials(), "as many partial sums as travel");
  if (ranks_.size() == 1) {
    if (to != partials[0]) stream.device().copy(stream, to, partials[0], count * kFloat);
    return;
  }
  auto* received = static_cast<float*>(scratch);
  if (node_ == nullptr) {
    const std::int64_t per_partial = ranks_.size() * count;
    float* pieces = received + tree_.partials() * per_partial;
    if (partials.size() == 1) {
      return sum_equals(ranks_, flat_, to, partials[0], count, received, pieces, stream, label);
    }
    for (std::size_t p = 0; p < partials.size(); ++p) {
      ranks_.all_to_all(received + static_cast<std::int64_t>(p) * per_partial, partials[p], count,
                        DType::kF32, stream, label);
    }
    return enqueue_sum(flat_, to, received, count, pieces, stream);
  }
  // Blocks of the ranks of one node lie side by side: what goes to node m's ranks over the own
  // node's is one exchange, and each of these sums the own node's share of a block of its rail.
  const std::int64_t per_node = node_->size() * count;
  float* sums = received + per_node;
  float* others = sums + rail_->size() * count;
  float* pieces = others + rail_->size() * count;
  for (std::int64_t node = 0; node < rail_->size(); ++node) {
    sum_equals(*node_, within_node_, sums + node * count, partials[0] + node * per_node, count,
               received, pieces, stream, label);
  }
  sum_equals(*rail_, over_nodes_, to, sums, count, others, pieces, stream, label);
}

void OrderedReduction::sum_equals(Communicator& ranks, const TreeSum& tree, float* to,
                                  const float* from, std::int64_t count, float* received,
                                  float* pieces, Stream& stream, CollectiveLabel label) {
  if (ranks.size() == 2) {
    return ranks.reduce_scatter(to, from, count, DType::kF32, ReduceOperation::kSum, stream, label);
  }
  ranks.all_to_all(received, from, count, DType::kF32, stream, label);
  enqueue_sum(tree, to, received, count, pieces, stream);
}

void OrderedReduction::enqueue_sum(const TreeSum& tree, float* to, const float* blocks,
                                   std::int64_t count, float* scratch, Stream& stream) {
  if (stream.device().kind() == DeviceKind::kCuda) {
    return load_cuda_collectives().tree_sum(stream, tree, to, blocks, count);
  }
  Sum* sum = nullptr;
  {
    const std::scoped_lock lock(mutex_);
    if (free_.empty()) {
      free_.push_back(&sums_.emplace_back(*this));
      free_.reserve(sums_.size());
    }
    sum = free_.back();
    free_.pop_back();
  }
  sum->tree = &tree;
  sum->to = to;
  sum->blocks = blocks;
  sum->count = count;
  sum->scratch = scratch;
  sum->recorded = stream.recording();
  stream.call(run_sum, sum);
}

void OrderedReduction::run_sum(void* context) {
  auto* sum = static_cast<Sum*>(context);
  sum->tree->run(sum->to, sum->blocks, sum->count, sum->scratch);
  if (sum->recorded) return;
  const std::scoped_lock lock(sum->owner.mutex_);
  sum->owner.free_.push_back(sum);
}

}  // namespace ingot
