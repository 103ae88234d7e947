// One function on its way from PTX to micro-operations. The decoder walks the instructions and
// hands each to the family that knows it; families bring operands to rows with its help and emit
// operations. Registers are virtual until allocate_registers() has run.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "execute/program.hpp"

namespace gpusim::execute {

/// An instruction that this simulator does not know. Becomes Fault::kIllegalInstruction.
class DecodeError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A basic block under construction.
struct BasicBlock {
  int first = 0, last = 0;  ///< instructions [first, last)
  std::vector<Op> ops;
  std::vector<int> successors;  ///< blocks; for a branch: not taken, taken
  int fallthrough = -1;         ///< block that follows where control does not leave
};

struct Address {
  Ref row;            ///< absent: the same address in all lanes, `offset`
  bool wide = false;  ///< row of 64-bit values
  std::int64_t offset = 0;
  bool frame_local = false;  ///< offset counts from the local memory of the running frame
  bool entry_parameter = false;
};

class Decoder {
 public:
  Decoder(Program& program, Code& code);

  Program& program;
  Code& code;
  const ptx::Module& module;
  const ptx::Function& function;

  /// The instruction being decoded.
  const ptx::Instruction& instruction() const { return *instruction_; }

  /// A row (or predicate word, bits 1) with the operand's value: registers of another width are
  /// converted, immediates become constant rows, symbols and special registers temporaries.
  Ref source(const ptx::Operand& operand, int bits);
  /// Where a result of `bits` goes. A register of another width is filled behind the operation,
  /// sign-extended if asked.
  Ref destination(const ptx::Operand& operand, int bits, bool sign_extend = false);
  Ref temporary(int bits);
  Ref constant(std::uint64_t value, int bits);
  /// Declared width class of a register operand: 1, 32 or 64.
  int width(const ptx::Operand& operand) const;
  Address address(const ptx::Operand& operand);
  /// The constant that an operand must be.
  std::int64_t immediate(const ptx::Operand& operand) const;

  /// An operation of the current instruction, with its guard.
  Op& emit(Kind kind);
  Op& emit_handler(Handler handler, Kind kind = Kind::kHandler);
  /// One that decoding adds: not counted, never guarded.
  Op& emit_helper(Handler handler);
  /// The operation emitted last.
  Op& last() { return block_->ops.back(); }

  template <class T>
  T& detail(Op& op) {
    auto owned = std::make_unique<T>();
    T& result = *owned;
    op.detail = owned.get();
    code.details.push_back(std::move(owned));
    return result;
  }
  std::uint32_t new_site() { return code.sites++; }

  /// Throws DecodeError: "unsupported instruction `ld.foo ...` at ...: why".
  [[noreturn]] void unsupported(const std::string& why) const;
  /// How often each register of the function is read by anything but a store's data operand.
  bool used_beyond_stores(int register_index) const {
    return used_[static_cast<std::size_t>(register_index)];
  }

  void run();

 private:
  friend void order_blocks(Decoder& decoder, std::vector<BasicBlock>& blocks);
  friend void allocate_registers(Decoder& decoder);

  void layout_locals();
  void find_uses();
  void decode_instruction(int index);
  void finish_instruction();

  const ptx::Instruction* instruction_ = nullptr;
  int index_ = -1;
  BasicBlock* block_ = nullptr;
  std::vector<int> bits_;  ///< per virtual register: 1, 32, 64
  std::vector<bool> used_;
  std::map<std::pair<std::uint64_t, int>, const void*> constants_;
  struct Conversion {
    Ref to, from;
    bool sign_extend;
  };
  std::vector<Conversion> conversions_;  ///< due behind the current instruction
};

/// Finds basic blocks and their edges; instructions that end one are bra, brx, ret, exit and call.
std::vector<BasicBlock> find_blocks(const Decoder& decoder);
/// Concatenates the blocks in priority order into Code::ops and resolves branch targets.
void order_blocks(Decoder& decoder, std::vector<BasicBlock>& blocks);
/// Virtual registers to offsets in the frame: liveness over the ordered operations, linear scan.
void allocate_registers(Decoder& decoder);

/// The families. Each returns false where the opcode is not its own and throws DecodeError where it
/// is but the form is unknown.
bool decode_control(Decoder& decoder);
bool decode_move(Decoder& decoder);
bool decode_load_store(Decoder& decoder);
bool decode_atomic(Decoder& decoder);
bool decode_warp_operation(Decoder& decoder);
bool decode_barrier(Decoder& decoder);
bool decode_mbarrier(Decoder& decoder);
bool decode_async_copy(Decoder& decoder);
bool decode_bulk_copy(Decoder& decoder);
bool decode_matrix(Decoder& decoder);
bool decode_cluster(Decoder& decoder);
bool decode_miscellaneous(Decoder& decoder);

/// Emits operations that read symbols and special registers into `d` (symbols.cpp, special.cpp).
void emit_symbol(Decoder& decoder, Ref d, const ptx::Operand& operand);
void emit_special(Decoder& decoder, Ref d, const std::string& name, int bits);

/// The words of an instruction, for messages: "ld.global.v2.f32 %f1, [%rd2+8]".
std::string text_of(const ptx::Function& function, const ptx::Module& module,
                    const ptx::Instruction& instruction);
/// "file.cu:12" or "PTX line 40".
std::string place_of(const ptx::Module& module, const ptx::Instruction& instruction);

/// Calls f(Ref&, bool written) for every operand of an operation.
template <class F>
void for_each_ref(Op& op, F f) {
  for (Ref* ref : {&op.a, &op.b, &op.c, &op.e}) {
    if (!ref->absent()) f(*ref, false);
  }
  Detail* detail = const_cast<Detail*>(op.detail);
  if (detail != nullptr) {
    for (Ref& ref : detail->inputs) {
      if (!ref.absent()) f(ref, false);
    }
  }
  for (Ref* ref : {&op.d, &op.d2}) {
    if (!ref->absent()) f(*ref, true);
  }
  if (detail != nullptr) {
    for (Ref& ref : detail->outputs) {
      if (!ref.absent()) f(ref, true);
    }
  }
}

}  // namespace gpusim::execute
