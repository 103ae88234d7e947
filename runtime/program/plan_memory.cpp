#include "runtime/program/plan_memory.hpp"

#include <algorithm>
#include <array>
#include <numeric>

namespace ingot {

namespace {

constexpr std::int64_t kAlignment = 64;  // one cache line; enough for every vector load

std::int64_t aligned(std::int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// When a block is touched: by stream the first and the last instruction, -1 where there is none.
struct Life {
  std::array<int, 2> first = {-1, -1};
  std::array<int, 2> last = {-1, -1};

  void touch(int instruction, int stream) {
    const auto s = static_cast<std::size_t>(stream);
    if (first[s] < 0) first[s] = instruction;
    last[s] = instruction;
  }
  bool used() const { return first[0] >= 0 || first[1] >= 0; }
  /// In the order of issue.
  int begin() const {
    return first[0] < 0 || (first[1] >= 0 && first[1] < first[0]) ? first[1] : first[0];
  }
  int end() const { return std::max(last[0], last[1]); }
};

struct Block {
  std::int64_t bytes = 0;
  Life life;
  std::int64_t offset = -1;
};

/// Whether all that touches `a` is known to be done when anything that touches `b` begins.
bool before(const Life& a, const Life& b, const Synchronisation& order) {
  for (std::size_t s = 0; s < 2; ++s) {
    const int first = b.first[s];
    if (first < 0) continue;
    if (a.last[s] >= first) return false;
    if (a.last[1 - s] > order.other[static_cast<std::size_t>(first)] && a.last[1 - s] >= 0) {
      return false;
    }
  }
  return true;
}

/// Assigns offsets: largest block first, each at the lowest place that is free during its life.
std::int64_t pack(std::vector<Block>& blocks, const Synchronisation& order) {
  std::vector<std::size_t> by_size(blocks.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::ranges::stable_sort(
      by_size, [&](std::size_t a, std::size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  std::int64_t end = 0;
  std::vector<std::size_t> placed;  // by ascending offset
  for (const std::size_t b : by_size) {
    Block& block = blocks[b];
    if (!block.life.used()) continue;
    std::int64_t offset = 0;
    for (const std::size_t p : placed) {
      const Block& other = blocks[p];
      if (before(other.life, block.life, order) || before(block.life, other.life, order)) continue;
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

/// Decides which values share a block.
class Liveness {
 public:
  explicit Liveness(const Graph& graph)
      : block_of(graph.values.size(), -1), graph_(graph), last_read_(graph.values.size(), -1) {
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

  std::vector<int> block_of;  ///< per value, -1 outside the arena
  std::vector<std::int64_t> block_bytes;

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
        block = static_cast<int>(block_bytes.size());
        block_bytes.push_back(graph_.type(output).bytes());
      }
      block_of[index(output)] = block;
    }
  }

  void touch(ValueId value, int n) const {
    if (value == kNoValue || !in_arena(value)) return;
    if (block_of[index(value)] < 0) {
      fail(ExitCode::kInternal, "node '{}' reads '{}' before it is written",
           graph_.nodes[static_cast<std::size_t>(n)].label, graph_.value(value).name);
    }
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
  std::vector<int> last_read_;
};

std::int64_t peak_live(const std::vector<Block>& blocks, std::size_t instructions) {
  std::vector<std::int64_t> change(instructions + 1, 0);
  for (const Block& block : blocks) {
    if (!block.life.used()) continue;
    change[static_cast<std::size_t>(block.life.begin())] += block.bytes;
    change[static_cast<std::size_t>(block.life.end()) + 1] -= block.bytes;
  }
  std::int64_t live = 0;
  std::int64_t peak = 0;
  for (const std::int64_t step : change) peak = std::max(peak, live += step);
  return peak;
}

}  // namespace

ValueBlocks assign_blocks(const Graph& graph) {
  Liveness liveness(graph);
  return {std::move(liveness.block_of), std::move(liveness.block_bytes)};
}

MemoryPlan plan_memory(const Draft& draft, const Synchronisation& order) {
  std::vector<Block> blocks;
  for (const std::int64_t bytes : draft.block_bytes) blocks.push_back({aligned(bytes), {}, -1});
  for (std::size_t i = 0; i < draft.instructions.size(); ++i) {
    const Instruction& instruction = draft.instructions[i];
    const auto touch = [&](int block) {
      if (block < 0) return;
      blocks[static_cast<std::size_t>(block)].life.touch(static_cast<int>(i), instruction.stream);
    };
    for (const Operand& input : instruction.inputs) touch(input.block);
    for (const Operand& output : instruction.outputs) touch(output.block);
    touch(instruction.workspace_block);
  }
  MemoryPlan plan;
  plan.arena_bytes = pack(blocks, order);
  plan.peak_live_bytes = peak_live(blocks, draft.instructions.size());
  for (const Block& block : blocks) plan.offsets.push_back(block.offset);
  return plan;
}

}  // namespace ingot
