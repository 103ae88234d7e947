// A kernel as the interpreter runs it: micro-operations over rows of registers, made once from PTX
// by decode/ and never destroyed. Nothing in here depends on a launch, a device or an address.
//
// The operations of a function stand in the order of its basic blocks, and blocks stand in a
// loop-aware reverse post-order: every loop is contiguous and a branch's join comes after both
// sides. So the index of an operation is also its priority: among diverged lanes those with the
// smallest index run first, and meet the others at the join.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "execute/alu.hpp"
#include "ptx/module.hpp"

namespace gpusim::execute {

using LaneMask = std::uint32_t;
constexpr LaneMask kAllLanes = 0xffffffffu;

struct Context;
struct Op;

/// Where an operand lies: in the register frame of the running function (a byte offset; the low
/// bit set), or at a fixed address (a constant row). A Ref of value 0 is an absent operand, which
/// resolves to a null pointer. While a function is being decoded, offsets are numbers of virtual
/// registers.
class Ref {
 public:
  Ref() = default;
  /// `offset` is a multiple of 4.
  static Ref frame(std::uint32_t offset) { return Ref(std::uint64_t{offset} | 1); }
  static Ref constant(const void* row) { return Ref(reinterpret_cast<std::uint64_t>(row)); }
  /// While decoding.
  static Ref virtual_register(int number) { return frame(static_cast<std::uint32_t>(number) * 4); }
  int number() const { return static_cast<int>(offset() / 4); }

  bool absent() const { return value_ == 0; }
  bool in_frame() const { return (value_ & 1) != 0; }
  std::uint32_t offset() const { return static_cast<std::uint32_t>(value_ & ~std::uint64_t{1}); }
  /// The same by a table: bases[0] is 0 and bases[1] one byte before the frame, which takes the low
  /// bit away again. A few instructions per operand count in the interpreter's loop.
  void* resolve(const std::uintptr_t* bases) const {
    return reinterpret_cast<void*>(value_ + bases[value_ & 1]);
  }
  std::byte* resolve(std::byte* frame) const {
    const std::uint64_t registers = 0 - (value_ & 1);
    const std::uint64_t base = reinterpret_cast<std::uint64_t>(frame) & registers;
    return reinterpret_cast<std::byte*>((value_ & ~std::uint64_t{1}) + base);
  }

 private:
  explicit Ref(std::uint64_t value) : value_(value) {}
  std::uint64_t value_ = 0;
};

enum class Kind : std::uint8_t {
  kPlainAlu,     ///< Op::alu over d, a, b, c; no guard, negation, constant or carry
  kAlu,          ///< Op::alu over d, d2, a, b, c, e
  kHandler,      ///< Op::handler, then the next operation
  kSync,         ///< Op::handler once all lanes of the member mask (Op::e, or all) have arrived
  kBlocking,     ///< Op::handler decides whether the group goes on; guarded lanes leave it first
  kBranch,       ///< guarded: to `target` where the guard holds, else `next`
  kBranchTable,  ///< brx.idx: a = index row, detail = BranchTable
  kJump,         ///< to `next`; not an instruction of the program
  kCall,
  kReturn,
  kExit
};

using Handler = void (*)(Context& context, const Op& op, LaneMask mask);

/// What an operation needs beyond its rows. Derived types belong to the handlers.
struct Detail {
  virtual ~Detail() = default;
  std::vector<Ref> outputs, inputs;  ///< rows of vector operands
};

struct Op {
  Kind kind = Kind::kAlu;
  bool starts_block = false;
  bool guard_negated = false;
  bool negate_a = false, negate_b = false, negate_c = false;
  bool counted = true;      ///< an instruction of the program, not one that decoding added
  std::int32_t guard = -1;  ///< byte offset of the predicate in the frame, -1 without
  std::uint32_t immediate = 0;
  std::int32_t target = -1;       ///< branches: operation to go to
  std::int32_t next = -1;         ///< branches not taken, jumps, the operation after a call
  std::int32_t instruction = -1;  ///< index into ptx::Function::instructions
  union {
    AluFunction alu = nullptr;
    Handler handler;
  };
  Ref d, d2, a, b, c, e;
  const Detail* detail = nullptr;

  template <class T>
  const T& as() const {
    return *static_cast<const T*>(detail);
  }
};

struct BranchTable : Detail {
  std::vector<std::int32_t> targets;
};

struct Program;

/// One function of a program.
struct Code {
  Program* program = nullptr;
  int function = -1;  ///< into Module::functions
  std::vector<Op> ops;
  std::uint32_t frame_bytes = 0;                 ///< registers of all lanes
  std::uint32_t local_words = 0;                 ///< 4-byte words of local memory per thread
  std::vector<std::uint32_t> local_offsets;      ///< bytes, per Function::locals
  std::vector<std::uint32_t> parameter_offsets;  ///< bytes: in local memory (.func only)
  std::vector<std::uint32_t> result_offsets;     ///< likewise
  std::uint32_t sites = 0;                       ///< memory operations, see Context::site()
  std::uint32_t first_site = 0;                  ///< in the numbering of the program
  std::uint32_t registers = 0;                   ///< 32-bit registers that a thread holds at once
  std::vector<std::unique_ptr<Detail>> details;
  std::deque<std::vector<std::uint64_t>> constants;

  const ptx::Function& source() const;
  const ptx::Instruction& instruction(const Op& op) const {
    return source().instructions[static_cast<std::size_t>(op.instruction)];
  }
};

/// A kernel with the functions it can reach, and the layout of its shared memory.
struct Program {
  std::shared_ptr<const ptx::Module> owner;  ///< null where the caller keeps the module
  const ptx::Module* module = nullptr;
  int entry = -1;
  std::string name;  ///< demangled
  /// Byte offset in shared memory per Module::variables, ~0u for those that this kernel lacks.
  std::vector<std::uint32_t> shared_offsets;
  std::uint32_t static_shared_bytes = 0;  ///< without the reserved part
  std::uint32_t dynamic_shared_offset = 0;
  std::uint32_t local_words = 0;  ///< of the entry and all functions it can reach
  std::uint32_t registers = 0;
  std::uint32_t constant_bytes = 0;
  std::atomic<std::uint32_t> sites{0};
  /// Problems reported so far: function, instruction, kind.
  std::mutex reported_mutex;
  std::set<std::tuple<int, int, std::string>> reported;

  /// The code of a function; decodes it where this has not happened yet (indirect calls).
  const Code& code(int function);
  const Code& main() { return code(entry); }

 private:
  friend Program& program_of(const ptx::Module& module, int entry,
                             const std::shared_ptr<const ptx::Module>& owner);
  std::mutex mutex_;
  std::deque<Code> codes_;
  std::unique_ptr<std::atomic<const Code*>[]> by_function_;
};

/// Bytes at the start of shared memory that belong to the system (cooperative groups use them);
/// a kernel's own variables come after them.
constexpr std::uint32_t kSharedReserved = 1024;

/// The program of an entry, decoded at first use. Throws std::runtime_error naming the instruction
/// and its line where one is unknown.
Program& program_of(const ptx::Module& module, int entry,
                    const std::shared_ptr<const ptx::Module>& owner = nullptr);

}  // namespace gpusim::execute
