// A PTX module as data: what the parser makes of PTX text and what the decoder reads. Nothing here
// knows how an instruction is executed. Names follow the PTX ISA manual.
//
// Registers are untyped bits: never derive behaviour from a register's declared type, only from the
// instruction (two nvcc back ends declare them differently).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace gpusim::ptx {

enum class Space : std::uint8_t { kGeneric, kGlobal, kShared, kLocal, kConst, kParam };

/// Where an instruction comes from: the line of the PTX text, and of the source where the module
/// was compiled with -lineinfo (file -1 otherwise).
struct Location {
  int ptx_line = 0;
  int file = -1;  ///< index into Module::files
  int line = 0;
  int call_file = -1;  ///< of an inlined function: where it was called, as above; else -1
  int call_line = 0;
};

struct Operand {
  enum class Kind : std::uint8_t {
    kRegister,   ///< index: into Function::registers
    kImmediate,  ///< bits: integers as two's complement in 64 bits; 0f... and 0d... as their bits
    kSpecial,    ///< name: "%tid.x", "%laneid", "%envreg1", "%clock64", ...
    kVariable,   ///< index: into Module::variables (its address), plus offset
    kLocal,      ///< index: into Function::locals (.local/.shared/.param declared inside), + offset
    kParameter,  ///< index: into Function::parameters, plus offset
    kResult,     ///< index: into Function::results, plus offset
    kFunction,   ///< index: into Module::functions
    kLabel,      ///< index: into Function::instructions, where the label stands
    kTable,      ///< index: into Function::branch_tables (brx.idx)
    kPrototype,  ///< index: into Function::prototypes (indirect call)
    kAddress,    ///< [base + offset]: elements[0] is the base (any kind above), offset bytes
    kVector,     ///< {a, b, ...}: elements
    kSink        ///< _
  };
  Kind kind = Kind::kSink;
  int index = -1;
  bool negated = false;           ///< !%p
  bool is_float = false;          ///< kImmediate written 0f.../0d... or as a decimal with a point
  bool is_double = false;         ///< kImmediate in 64-bit float form
  std::uint64_t bits = 0;         ///< kImmediate
  std::int64_t offset = 0;        ///< bytes; kAddress, and variables written as name+8
  std::string name;               ///< kSpecial
  std::vector<Operand> elements;  ///< kVector, kAddress
  /// Second half of a double destination a|b (setp, shfl, vote, match, elect): at most one element.
  std::vector<Operand> second;
};

struct Instruction {
  std::string opcode;                  ///< "ld", "setp", "mma": what stands before the first dot
  std::vector<std::string> modifiers;  ///< {"global", "nc", "v4", "f32"}, in source order
  std::vector<Operand> operands;       ///< destinations first, as written
  int guard = -1;                      ///< register of @%p, -1 for none
  bool guard_negated = false;          ///< @!%p
  Location location;
  /// call only: results, callee (kFunction or kRegister), arguments, prototype (indirect calls).
  std::vector<Operand> call_results;
  std::vector<Operand> call_arguments;
  int call_prototype = -1;

  bool has(std::string_view modifier) const {
    for (const std::string& m : modifiers) {
      if (m == modifier) return true;
    }
    return false;
  }
};

/// A declared register. `bits`: 1 for predicates, else 8, 16, 32, 64 or 128.
struct Register {
  std::string name;
  int bits = 32;
};

/// Where the initial bytes of a variable hold an address: of a variable or a function.
struct Relocation {
  std::size_t at = 0;  ///< byte in Variable::initial
  int bytes = 8;
  int variable = -1;  ///< or
  int function = -1;
  std::int64_t addend = 0;
  bool generic = false;    ///< generic(symbol); for .global and .const both forms are equal here
  int shift = 0;           ///< mask operator forms 0xFF00(symbol): right shift in bits
  std::string unresolved;  ///< name, until link() has found it
};

enum class Linkage : std::uint8_t { kInternal, kVisible, kExtern, kWeak, kCommon };

/// A variable, or a parameter of a function.
struct Variable {
  std::string name;
  Space space = Space::kGlobal;
  Linkage linkage = Linkage::kInternal;
  std::size_t bytes = 0;  ///< 0: extern __shared__ array without size
  std::size_t alignment = 1;
  bool managed = false;
  std::vector<std::byte> initial;  ///< may be shorter than bytes: the rest is zero
  std::vector<Relocation> relocations;
  int owner_function = -1;  ///< function-scope static .shared/.global hoisted to the module, or -1
  std::size_t offset = 0;   ///< parameters: byte offset in the parameter block
};

struct Prototype {
  std::vector<Variable> results;
  std::vector<Variable> parameters;
};

struct Function {
  std::string name;
  bool entry = false;
  Linkage linkage = Linkage::kInternal;
  bool defined = false;  ///< has a body; false for .extern and for vprintf, malloc, __assertfail
  std::vector<Variable> results;     ///< .func (.param ... func_retval0)
  std::vector<Variable> parameters;  ///< in order, with offsets in the parameter block
  std::size_t parameter_bytes = 0;
  std::vector<Register> registers;
  std::vector<Variable> locals;  ///< .local, and .param declared in the body; .shared in the body
                                 ///< is hoisted to Module::variables with owner_function set
  std::vector<Instruction> instructions;
  std::vector<std::vector<int>> branch_tables;  ///< instruction indices, per .branchtargets
  std::vector<Prototype> prototypes;
  std::vector<std::string> register_parameters;   ///< unused by nvcc; ABI with .reg parameters
  std::uint32_t max_threads[3] = {0, 0, 0};       ///< .maxntid; 0: not given
  std::uint32_t required_threads[3] = {0, 0, 0};  ///< .reqntid
  std::uint32_t cluster[3] = {0, 0, 0};           ///< .reqnctapercluster
  int min_blocks = 0;                             ///< .minnctapersm
  bool no_return = false;
};

/// One PTX text, or several linked into one.
struct Module {
  int architecture = 0;  ///< 80 for .target sm_80
  std::string target;    ///< "sm_90a"
  std::vector<std::string> files;
  std::vector<Variable> variables;
  std::vector<Function> functions;
  std::map<std::string, int> variable_by_name;
  std::map<std::string, int> function_by_name;
};

}  // namespace gpusim::ptx
