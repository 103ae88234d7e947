// The parser's state, shared by its parts: parse_module.cpp (directives, declarations), initial.cpp
// (initial values), parse_function.cpp (headers, bodies, scopes), parse_operand.cpp (instructions).
// Private to ptx/.
#pragma once

#include <optional>
#include <unordered_map>

#include "ptx/lexer.hpp"
#include "ptx/module.hpp"
#include "ptx/parse.hpp"

namespace gpusim::ptx {

/// What a name stands for, in some scope.
struct Symbol {
  Operand::Kind kind = Operand::Kind::kSink;
  int index = -1;
};

/// A pair of braces. Inline assembly opens many, which declare the same names again.
struct Scope {
  int parent = -1;
  std::unordered_map<std::string_view, Symbol> names;
  /// Registers declared as %r<count>, by what stands before the number.
  struct Range {
    int first = 0;
    int count = 0;
  };
  std::unordered_map<std::string_view, Range> ranges;
  std::unordered_map<std::string_view, int> labels;
};

/// A literal number.
struct Number {
  std::uint64_t bits = 0;
  bool is_float = false;
  bool is_double = false;
};

/// A type such as .f32, .b8 or .pred; bytes is 0 for .pred.
struct Type {
  std::string_view name;  ///< without the dot
  std::size_t bytes = 0;
  bool floating = false;
};
std::optional<Type> type_of(std::string_view dotted);

/// A declared variable or parameter, with what its Variable does not keep.
struct Declarator {
  std::string_view name;  ///< in the text, so that scopes can be keyed by it
  Variable variable;
  Type type;
  std::size_t element_bytes = 0;  ///< of one vector where the type is a vector
  std::vector<std::size_t> dimensions;
};

class Parser {
 public:
  Parser(std::string_view text, const std::string& name);
  std::unique_ptr<Module> run();

 private:
  // Tokens.
  void advance();
  bool accept(char punctuation);
  bool accept(std::string_view word);
  void expect(char punctuation, const char* where);
  std::string_view expect_word(const char* what);
  std::string_view expect_dotted(const char* what);
  [[noreturn]] void fail(const std::string& message) const;
  [[noreturn]] void unexpected(const char* expected) const;
  Number number();
  std::uint64_t unsigned_number(const char* what, std::uint64_t limit);
  std::int64_t signed_number();
  std::int64_t constant_expression(int lowest_precedence = 0);
  std::int64_t constant_term();
  void skip_statement();
  void skip_braces();

  // parse_module.cpp
  void parse_statement();
  void parse_target();
  void parse_file();
  void parse_section();
  void parse_alias();
  bool parse_linkage(Linkage& linkage);
  void parse_variables(Space space, Linkage linkage, bool in_function);
  /// [.align N] .type name[dimensions], with everything that may stand between.
  Declarator parse_declarator(Space space);
  void parse_name_and_dimensions(Declarator& declarator);
  void declare_variable(std::string_view name, Variable variable, bool in_function);
  void merge_variable(Variable& known, Variable variable);
  void resolve_relocations();
  int file_index(std::uint64_t number);

  // initial.cpp
  void parse_initial(Declarator& declarator);
  void parse_initial_list(Declarator& declarator, std::size_t level, std::size_t at,
                          std::size_t end);
  void parse_initial_value(Variable& variable, const Type& type, std::size_t at);
  void parse_initial_symbol(Variable& variable, std::size_t bytes, std::size_t at, int shift);
  void store_initial(Variable& variable, std::size_t at, std::uint64_t bits, std::size_t bytes);

  // parse_function.cpp
  void parse_function(bool entry, Linkage linkage);
  std::vector<Variable> parse_parameters(bool results);
  void parse_function_directives();
  void parse_triple(std::uint32_t (&triple)[3]);
  int declare_function(std::string_view name, bool with_body);
  void parse_body();
  void parse_body_directive();
  void parse_registers();
  void parse_loc();
  void parse_labelled(std::string_view label);
  void parse_prototype(std::string_view label);
  void declare(std::string_view name, Symbol symbol);
  void add_registers(std::string_view name, int bits);
  void open_scope();
  void close_scope();
  void finish_body();
  void resolve_labels(Operand& operand, int line);
  int find_label(int scope, std::string_view name) const;

  // parse_operand.cpp
  void parse_instruction();
  void parse_call(Instruction& instruction);
  void parse_call_list(std::vector<Operand>& operands);
  Operand parse_operand();
  Operand parse_primary();
  Operand parse_name();
  Operand parse_immediate();
  Operand parse_address();
  Operand parse_vector();
  std::optional<Symbol> find(std::string_view name) const;

  static constexpr int kMaxDepth = 64;  ///< of nested braces and parentheses
  /// While a body is parsed, a label's operand holds kPendingScope - scope in `index`.
  static constexpr int kPendingScope = -2;

  Lexer lexer_;
  Token token_;
  Token ahead_;
  std::unique_ptr<Module> module_;
  Scope globals_;
  std::unordered_map<std::uint64_t, int> file_indices_;

  // Of the function that is being parsed.
  Function function_;
  int function_index_ = -1;
  std::vector<Scope> scopes_;
  int scope_ = -1;
  int depth_ = 0;
  Location location_;
  /// .branchtargets hold label names until the body ends.
  struct PendingTable {
    int table = -1;
    int scope = -1;
    int line = 0;
    std::vector<std::string_view> labels;
  };
  std::vector<PendingTable> tables_;
};

}  // namespace gpusim::ptx
