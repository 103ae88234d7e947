#include "runtime/program/plan_memory.hpp"

#include <algorithm>
#include <map>
#include <numeric>

namespace ingot {

namespace {

constexpr std::int64_t kAlignment = 64;  // one cache line; enough for every vector load

std::int64_t aligned(std::int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// A run of memory from the first node that writes it to the last that touches it.
struct Block {
  std::int64_t bytes = 0;
  int first = 0;
  int last = 0;
  std::int64_t offset = -1;
};

/// Assigns offsets: largest block first, each at the lowest place that is free during its life.
std::int64_t pack(std::vector<Block>& blocks) {
  std::vector<std::size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(
      order, [&](std::size_t a, std::size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  std::int64_t end = 0;
  std::vector<std::size_t> placed;  // by ascending offset
  for (const std::size_t b : order) {
    Block& block = blocks[b];
    std::int64_t offset = 0;
    for (const std::size_t p : placed) {
      const Block& other = blocks[p];
      if (other.last < block.first || other.first > block.last) continue;
      if (other.offset >= offset + block.bytes) break;
      offset = std::max(offset, other.offset + other.bytes);
    }
    block.offset = offset;
    end = std::max(end, offset + block.bytes);
    placed.insert(std::ranges::upper_bound(placed, offset, {},
                                           [&](std::size_t p) { return blocks[p].offset; }),
                  b);
  }
  return end;
}

/// Decides which values share a block and how long the blocks live.
class Liveness {
 public:
  explicit Liveness(const Graph& graph)
      : graph_(graph), block_of(graph.values.size(), -1), last_read_(graph.values.size(), -1) {
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      for (const ValueId input : graph.nodes[n].inputs) {
        if (input != kNoValue) last_read_[index(input)] = static_cast<int>(n);
      }
      for (const ValueId from : graph.nodes[n].accumulated_from) {
        if (from != kNoValue) last_read_[index(from)] = static_cast<int>(n);
      }
    }
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) visit(static_cast<int>(n));
  }

  std::vector<Block> blocks;

 private:
  static std::size_t index(ValueId value) { return static_cast<std::size_t>(value); }
  bool in_arena(ValueId value) const { return graph_.value(value).role == Role::kActivation; }

  void visit(int n) {
    const GraphNode& node = graph_.nodes[static_cast<std::size_t>(n)];
    for (const ValueId input : node.inputs) touch(input, n);
    for (std::size_t o = 0; o < node.outputs.size(); ++o) {
      const ValueId output = node.outputs[o];
      if (!in_arena(output)) continue;
      int block = shared_block(node, o, n);
      if (block < 0) {
        block = static_cast<int>(blocks.size());
        blocks.push_back({aligned(graph_.type(output).bytes()), n, n, -1});
      }
      block_of[index(output)] = block;
      blocks[static_cast<std::size_t>(block)].last = n;
    }
  }

  void touch(ValueId value, int n) {
    if (value == kNoValue || !in_arena(value)) return;
    const int block = block_of[index(value)];
    if (block < 0) {
      fail(ExitCode::kInternal, "node '{}' reads '{}' before it is written",
           graph_.nodes[static_cast<std::size_t>(n)].label, graph_.value(value).name);
    }
    blocks[static_cast<std::size_t>(block)].last = n;
  }

  /// The block that output o takes over: of the value it accumulates into, or of an input that the
  /// op may overwrite and nobody reads afterwards.
  int shared_block(const GraphNode& node, std::size_t o, int n) const {
    if (node.accumulated_from[o] != kNoValue) {
      return block_of[index(node.accumulated_from[o])];
    }
    const int i = node.op->in_place(static_cast<int>(o));
    if (i < 0 || static_cast<std::size_t>(i) >= node.inputs.size()) return -1;
    const ValueId input = node.inputs[static_cast<std::size_t>(i)];
    if (input == kNoValue || !in_arena(input) || last_read_[index(input)] != n) return -1;
    if (std::ranges::count(node.inputs, input) != 1) return -1;
    if (graph_.type(input).bytes() != graph_.type(node.outputs[o]).bytes()) return -1;
    // An output that accumulates reads its old memory while the input is still wanted.
    if (std::ranges::count(node.accumulated_from, input) > 0) return -1;
    return block_of[index(input)];
  }

  const Graph& graph_;

 public:
  std::vector<int> block_of;  ///< per value, -1 outside the arena

 private:
  std::vector<int> last_read_;
};

std::int64_t peak_live(const std::vector<Block>& blocks, int nodes) {
  std::vector<std::int64_t> change(static_cast<std::size_t>(nodes) + 1, 0);
  for (const Block& block : blocks) {
    change[static_cast<std::size_t>(block.first)] += block.bytes;
    change[static_cast<std::size_t>(block.last) + 1] -= block.bytes;
  }
  std::int64_t live = 0;
  std::int64_t peak = 0;
  for (const std::int64_t step : change) peak = std::max(peak, live += step);
  return peak;
}

}  // namespace

MemoryPlan plan_memory(const Graph& graph, const std::vector<std::int64_t>& workspace_bytes) {
  ensure(workspace_bytes.size() == graph.nodes.size(), "a workspace size per node");
  Liveness liveness(graph);
  std::vector<Block> blocks = std::move(liveness.blocks);
  std::vector<int> workspace_block(graph.nodes.size(), -1);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    if (workspace_bytes[n] == 0) continue;
    workspace_block[n] = static_cast<int>(blocks.size());
    blocks.push_back({aligned(workspace_bytes[n]), static_cast<int>(n), static_cast<int>(n), -1});
  }
  MemoryPlan plan;
  plan.arena_bytes = pack(blocks);
  plan.peak_live_bytes = peak_live(blocks, static_cast<int>(graph.nodes.size()));
  for (const int block : liveness.block_of) {
    plan.offsets.push_back(block < 0 ? -1 : blocks[static_cast<std::size_t>(block)].offset);
  }
  for (const int block : workspace_block) {
    plan.workspace_offsets.push_back(block < 0 ? 0
                                               : blocks[static_cast<std::size_t>(block)].offset);
  }
  return plan;
}

}  // namespace ingot
