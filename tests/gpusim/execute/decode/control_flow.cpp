// Basic blocks and their order. The order is a reverse post-order in which every loop is
// contiguous: edges that leave loops are visited first, so what follows a loop is placed behind it.
// Text order would not do: compilers put cold blocks behind the final ret.
#include <algorithm>
#include <map>

#include "execute/decode/decoder.hpp"

namespace gpusim::execute {
namespace {

bool ends_block(const ptx::Instruction& i) {
  return i.opcode == "bra" || i.opcode == "brx" || i.opcode == "ret" || i.opcode == "exit" ||
         i.opcode == "call" || i.opcode == "trap";
}

bool leaves(const ptx::Instruction& i) {
  return i.guard < 0 && (i.opcode == "ret" || i.opcode == "exit" || i.opcode == "bra" ||
                         i.opcode == "brx" || i.opcode == "trap");
}

int label_of(const ptx::Instruction& i) {
  for (const ptx::Operand& operand : i.operands) {
    if (operand.kind == ptx::Operand::Kind::kLabel) return operand.index;
  }
  return -1;
}

int table_of(const ptx::Instruction& i) {
  for (const ptx::Operand& operand : i.operands) {
    if (operand.kind == ptx::Operand::Kind::kTable) return operand.index;
  }
  return -1;
}

/// Post-order of a depth-first search that takes successors in the given order, without recursion.
std::vector<int> post_order(const std::vector<std::vector<int>>& successors, int start) {
  std::vector<int> order;
  std::vector<bool> seen(successors.size(), false);
  std::vector<std::pair<int, std::size_t>> stack;
  seen[static_cast<std::size_t>(start)] = true;
  stack.push_back({start, 0});
  while (!stack.empty()) {
    const auto block = static_cast<std::size_t>(stack.back().first);
    if (stack.back().second < successors[block].size()) {
      const int next = successors[block][stack.back().second++];
      if (!seen[static_cast<std::size_t>(next)]) {
        seen[static_cast<std::size_t>(next)] = true;
        stack.push_back({next, 0});
      }
    } else {
      order.push_back(stack.back().first);
      stack.pop_back();
    }
  }
  return order;
}

/// Immediate dominators (Cooper, Harvey and Kennedy), -1 for unreachable blocks.
std::vector<int> dominators(const std::vector<std::vector<int>>& successors,
                            const std::vector<int>& post) {
  const std::size_t count = successors.size();
  std::vector<int> number(count, -1);
  for (std::size_t i = 0; i < post.size(); ++i) {
    number[static_cast<std::size_t>(post[i])] = static_cast<int>(i);
  }
  std::vector<std::vector<int>> predecessors(count);
  for (const int block : post) {
    for (const int next : successors[static_cast<std::size_t>(block)]) {
      predecessors[static_cast<std::size_t>(next)].push_back(block);
    }
  }
  std::vector<int> dominator(count, -1);
  dominator[0] = 0;
  const auto meet = [&](int a, int b) {
    while (a != b) {
      const auto na = number[static_cast<std::size_t>(a)];
      const auto nb = number[static_cast<std::size_t>(b)];
      if (na < nb) {
        a = dominator[static_cast<std::size_t>(a)];
      } else {
        b = dominator[static_cast<std::size_t>(b)];
      }
    }
    return a;
  };
  bool changed = true;
  while (changed) {
    changed = false;
    for (auto it = post.rbegin(); it != post.rend(); ++it) {
      if (*it == 0) continue;
      int best = -1;
      for (const int p : predecessors[static_cast<std::size_t>(*it)]) {
        if (dominator[static_cast<std::size_t>(p)] < 0) continue;
        best = best < 0 ? p : meet(best, p);
      }
      if (best != dominator[static_cast<std::size_t>(*it)]) {
        dominator[static_cast<std::size_t>(*it)] = best;
        changed = true;
      }
    }
  }
  return dominator;
}

/// How many loops each block lies in, and the header of the innermost one (-1: none).
struct Loops {
  std::vector<int> header;  ///< innermost loop of a block, by its header
  std::vector<int> parent;  ///< of a header: the enclosing loop's header
};

Loops find_loops(const std::vector<std::vector<int>>& successors, const std::vector<int>& post,
                 const std::vector<int>& dominator) {
  const std::size_t count = successors.size();
  const auto dominates = [&dominator](int a, int b) {
    while (b != a && b != 0) b = dominator[static_cast<std::size_t>(b)];
    return a == b;
  };
  std::vector<std::vector<int>> predecessors(count);
  std::map<int, std::vector<int>> latches;  // by header
  for (const int block : post) {
    for (const int next : successors[static_cast<std::size_t>(block)]) {
      predecessors[static_cast<std::size_t>(next)].push_back(block);
      if (dominates(next, block)) latches[next].push_back(block);
    }
  }
  // Headers of inner loops come earlier in post-order than those of the loops around them.
  Loops loops{std::vector<int>(count, -1), std::vector<int>(count, -1)};
  for (const int header : post) {
    const auto found = latches.find(header);
    if (found == latches.end()) continue;
    std::vector<int> work = found->second;
    std::vector<bool> seen(count, false);
    seen[static_cast<std::size_t>(header)] = true;
    std::vector<int> members = {header};
    while (!work.empty()) {
      const int block = work.back();
      work.pop_back();
      if (seen[static_cast<std::size_t>(block)]) continue;
      seen[static_cast<std::size_t>(block)] = true;
      members.push_back(block);
      for (const int p : predecessors[static_cast<std::size_t>(block)]) work.push_back(p);
    }
    for (const int block : members) {
      int& innermost = loops.header[static_cast<std::size_t>(block)];
      if (innermost < 0) {
        innermost = header;
      } else if (innermost != header) {
        int outer = innermost;
        while (loops.parent[static_cast<std::size_t>(outer)] >= 0 &&
               loops.parent[static_cast<std::size_t>(outer)] != header) {
          outer = loops.parent[static_cast<std::size_t>(outer)];
        }
        if (outer != header) loops.parent[static_cast<std::size_t>(outer)] = header;
      }
    }
  }
  return loops;
}

/// The order in which blocks are laid out; unreachable ones are left out.
std::vector<int> layout(std::vector<std::vector<int>> successors) {
  std::vector<int> post = post_order(successors, 0);
  const std::vector<int> dominator = dominators(successors, post);
  const Loops loops = find_loops(successors, post, dominator);
  const auto inside = [&loops](int header, int block) {
    for (int h = loops.header[static_cast<std::size_t>(block)]; h >= 0;
         h = loops.parent[static_cast<std::size_t>(h)]) {
      if (h == header) return true;
    }
    return false;
  };
  for (std::size_t block = 0; block < successors.size(); ++block) {
    // Loops of this block that an edge leaves: more of them, visited earlier.
    const auto left = [&](int next) {
      int count = 0;
      for (int h = loops.header[block]; h >= 0; h = loops.parent[static_cast<std::size_t>(h)]) {
        if (!inside(h, next)) ++count;
      }
      return count;
    };
    std::stable_sort(successors[block].begin(), successors[block].end(),
                     [&left](int a, int b) { return left(a) > left(b); });
  }
  post = post_order(successors, 0);
  std::reverse(post.begin(), post.end());
  return post;
}

}  // namespace

std::vector<BasicBlock> find_blocks(const Decoder& decoder) {
  const auto& instructions = decoder.function.instructions;
  const int count = static_cast<int>(instructions.size());
  std::vector<bool> leader(static_cast<std::size_t>(count) + 1, false);
  leader[0] = true;
  for (int i = 0; i < count; ++i) {
    const ptx::Instruction& instruction = instructions[static_cast<std::size_t>(i)];
    if (!ends_block(instruction)) continue;
    leader[static_cast<std::size_t>(i) + 1] = true;
    const int label = label_of(instruction);
    if (label >= 0 && label <= count) leader[static_cast<std::size_t>(label)] = true;
  }
  for (const auto& table : decoder.function.branch_tables) {
    for (const int label : table) {
      if (label >= 0 && label <= count) leader[static_cast<std::size_t>(label)] = true;
    }
  }
  std::vector<BasicBlock> blocks;
  std::vector<int> block_at(static_cast<std::size_t>(count) + 1, -1);
  for (int i = 0; i < count; ++i) {
    if (leader[static_cast<std::size_t>(i)]) {
      if (!blocks.empty()) blocks.back().last = i;
      block_at[static_cast<std::size_t>(i)] = static_cast<int>(blocks.size());
      blocks.emplace_back();
      blocks.back().first = i;
    }
  }
  if (!blocks.empty()) blocks.back().last = count;
  // Control that runs off the end returns: an empty block with an implicit ret.
  block_at[static_cast<std::size_t>(count)] = static_cast<int>(blocks.size());
  blocks.emplace_back();
  blocks.back().first = blocks.back().last = count;
  for (std::size_t b = 0; b + 1 < blocks.size(); ++b) {
    BasicBlock& block = blocks[b];
    const ptx::Instruction& last = instructions[static_cast<std::size_t>(block.last) - 1];
    if (!leaves(last)) {
      block.fallthrough = static_cast<int>(b) + 1;
      block.successors.push_back(block.fallthrough);
    }
    const int label = label_of(last);
    if (last.opcode == "bra" && label >= 0) {
      block.successors.push_back(block_at[static_cast<std::size_t>(label)]);
    }
    const int table = table_of(last);
    if (last.opcode == "brx" && table >= 0) {
      for (const int target : decoder.function.branch_tables[static_cast<std::size_t>(table)]) {
        block.successors.push_back(block_at[static_cast<std::size_t>(target)]);
      }
    }
  }
  return blocks;
}

void order_blocks(Decoder& decoder, std::vector<BasicBlock>& blocks) {
  std::vector<std::vector<int>> successors;
  for (const BasicBlock& block : blocks) successors.push_back(block.successors);
  const std::vector<int> order = layout(std::move(successors));

  std::map<int, int> block_of_instruction;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    block_of_instruction[blocks[b].first] = static_cast<int>(b);
  }
  // Every block begins with an operation that carries the mark, so none may be empty.
  std::vector<Op>& ops = decoder.code.ops;
  std::vector<int> start(blocks.size(), -1);
  const int instructions = static_cast<int>(decoder.function.instructions.size());
  for (std::size_t position = 0; position < order.size(); ++position) {
    const auto number = static_cast<std::size_t>(order[position]);
    BasicBlock& block = blocks[number];
    const int following = position + 1 < order.size() ? order[position + 1] : -1;
    start[number] = static_cast<int>(ops.size());
    if (block.first == instructions) {
      Op op;
      op.kind = decoder.function.entry ? Kind::kExit : Kind::kReturn;
      op.counted = false;
      op.instruction = std::max(0, instructions - 1);
      block.ops.push_back(op);
    }
    const bool branches = !block.ops.empty() && (block.ops.back().kind == Kind::kBranch ||
                                                 block.ops.back().kind == Kind::kCall);
    if (!branches && block.fallthrough >= 0 &&
        (block.fallthrough != following || block.ops.empty())) {
      Op op;
      op.kind = Kind::kJump;
      op.counted = false;
      op.instruction = block.last > 0 ? block.last - 1 : 0;
      block.ops.push_back(op);
    }
    if (!block.ops.empty()) block.ops.front().starts_block = true;
    ops.insert(ops.end(), block.ops.begin(), block.ops.end());
  }
  // Branch targets are instruction numbers until here; `next` of a block's last operation is its
  // fall-through.
  const auto op_at = [&](int instruction) {
    const auto found = block_of_instruction.find(instruction);
    return found == block_of_instruction.end() ? -1
                                               : start[static_cast<std::size_t>(found->second)];
  };
  for (std::size_t position = 0; position < order.size(); ++position) {
    const auto number = static_cast<std::size_t>(order[position]);
    const BasicBlock& block = blocks[number];
    const int end = start[number] + static_cast<int>(block.ops.size());
    for (int i = start[number]; i < end; ++i) {
      Op& op = ops[static_cast<std::size_t>(i)];
      if (op.kind == Kind::kBranch) op.target = op_at(op.target);
      if (op.kind == Kind::kBranchTable) {
        for (std::int32_t& target : const_cast<BranchTable&>(op.as<BranchTable>()).targets) {
          target = op_at(target);
        }
      }
      const bool last = i + 1 == end;
      op.next = last && block.fallthrough >= 0 ? start[static_cast<std::size_t>(block.fallthrough)]
                                               : i + 1;
    }
  }
}

}  // namespace gpusim::execute
