// Functions: headers, bodies, the scopes within them, and labels.
#include <algorithm>
#include <utility>

#include "ptx/parser.hpp"

namespace gpusim::ptx {
namespace {

constexpr std::uint64_t kMaxRegisters = 1 << 22;
constexpr std::uint64_t kMaxParameterBytes = 1 << 20;

bool ends_function(const Instruction& instruction) {
  if (instruction.guard >= 0) return false;
  const std::string& opcode = instruction.opcode;
  return opcode == "ret" || opcode == "exit" || opcode == "trap" || opcode == "bra" ||
         opcode == "brx";
}

}  // namespace

void Parser::open_scope() {
  if (++depth_ > kMaxDepth) fail("braces are nested too deeply");
  scopes_.emplace_back();
  scopes_.back().parent = scope_;
  scope_ = static_cast<int>(scopes_.size()) - 1;
}

void Parser::close_scope() {
  --depth_;
  scope_ = scopes_[static_cast<std::size_t>(scope_)].parent;
}

void Parser::declare(std::string_view name, Symbol symbol) {
  Scope& scope = scopes_[static_cast<std::size_t>(scope_)];
  if (!scope.names.try_emplace(name, symbol).second) {
    fail("'" + std::string(name) + "' is declared twice in one scope");
  }
}

std::vector<Variable> Parser::parse_parameters(bool results) {
  std::vector<Variable> parameters;
  std::size_t offset = 0;
  expect('(', "before parameters");
  while (!accept(')')) {
    if (token_.is(".reg")) fail("parameters in registers (.reg) are not supported");
    if (!accept(".param")) unexpected("'.param'");
    Declarator declarator = parse_declarator(Space::kParam);
    Variable& parameter = declarator.variable;
    offset = (offset + parameter.alignment - 1) / parameter.alignment * parameter.alignment;
    parameter.offset = offset;
    if (parameter.bytes > kMaxParameterBytes) fail("a parameter is larger than 1 MiB");
    offset += parameter.bytes;
    if (scope_ >= 0 && declarator.name != "_") {
      declare(declarator.name, {results ? Operand::Kind::kResult : Operand::Kind::kParameter,
                                static_cast<int>(parameters.size())});
    }
    parameters.push_back(std::move(parameter));
    if (!token_.is(')')) expect(',', "between parameters");
  }
  return parameters;
}

void Parser::parse_triple(std::uint32_t (&triple)[3]) {
  triple[1] = triple[2] = 1;
  for (std::size_t i = 0; i < 3; ++i) {
    triple[i] = static_cast<std::uint32_t>(unsigned_number("a number of threads", UINT32_MAX));
    if (!accept(',')) break;
  }
}

void Parser::parse_function_directives() {
  while (!token_.is('{') && !token_.is(';')) {
    if (accept(".maxntid")) {
      parse_triple(function_.max_threads);
    } else if (accept(".reqntid")) {
      parse_triple(function_.required_threads);
    } else if (accept(".reqnctapercluster")) {
      parse_triple(function_.cluster);
    } else if (accept(".minnctapersm")) {
      function_.min_blocks = static_cast<int>(unsigned_number("a number of blocks", 1 << 16));
    } else if (accept(".noreturn")) {
      function_.no_return = true;
    } else if (accept(".pragma")) {
      skip_statement();
    } else if (accept(".maxnreg") || accept(".maxnctapersm") || accept(".maxclusterrank") ||
               accept(".abi_preserve") || accept(".abi_preserve_control")) {
      constant_expression();
    } else if (!accept(".explicitcluster") && !accept(".blocksareclusters") &&
               !accept(".unified")) {
      unexpected("'{', ';' or a directive of a function");
    }
  }
}

int Parser::declare_function(std::string_view name, bool with_body) {
  const auto next = static_cast<int>(module_->functions.size());
  const auto [found, inserted] =
      globals_.names.try_emplace(name, Symbol{Operand::Kind::kFunction, next});
  if (inserted) {
    module_->functions.emplace_back();
    module_->functions.back().name = std::string(name);
    module_->function_by_name[std::string(name)] = next;
    return next;
  }
  if (found->second.kind != Operand::Kind::kFunction) {
    fail("'" + std::string(name) + "' is declared as a variable and as a function");
  }
  if (with_body && module_->functions[static_cast<std::size_t>(found->second.index)].defined) {
    fail("function '" + std::string(name) + "' is defined twice");
  }
  return found->second.index;
}

void Parser::parse_function(bool entry, Linkage linkage) {
  function_ = Function();
  function_.entry = entry;
  function_.linkage = linkage;
  scopes_.clear();
  scope_ = -1;
  depth_ = 0;
  open_scope();
  if (!entry && token_.is('(')) function_.results = parse_parameters(true);
  const std::string_view name = expect_word("the name of a function");
  function_.name = std::string(name);
  if (token_.is('(')) function_.parameters = parse_parameters(false);
  if (!function_.parameters.empty()) {
    const Variable& last = function_.parameters.back();
    function_.parameter_bytes = last.offset + last.bytes;
  }
  parse_function_directives();
  const bool with_body = token_.is('{');
  function_index_ = declare_function(name, with_body);
  function_.defined = with_body;
  if (with_body) {
    parse_body();
  } else {
    expect(';', "after the declaration of a function");
  }
  Function& known = module_->functions[static_cast<std::size_t>(function_index_)];
  if (!known.defined) known = std::move(function_);
}

void Parser::parse_body() {
  tables_.clear();
  const int outside = scope_;
  expect('{', "of a function's body");
  open_scope();
  while (scope_ != outside) {
    if (accept('{')) {
      open_scope();
    } else if (accept('}')) {
      close_scope();
    } else if (accept(';')) {
      // An empty statement.
    } else if (token_.kind == Token::Kind::kDotted) {
      parse_body_directive();
    } else if (token_.kind == Token::Kind::kWord && ahead_.is(':')) {
      const std::string_view label = token_.text;
      advance();
      advance();
      parse_labelled(label);
    } else if (token_.kind == Token::Kind::kWord || token_.is('@')) {
      parse_instruction();
    } else {
      unexpected("an instruction");
    }
  }
  finish_body();
}

void Parser::parse_body_directive() {
  if (accept(".reg")) return parse_registers();
  if (accept(".local")) return parse_variables(Space::kLocal, Linkage::kInternal, true);
  if (accept(".shared")) return parse_variables(Space::kShared, Linkage::kInternal, true);
  if (accept(".param")) return parse_variables(Space::kParam, Linkage::kInternal, true);
  if (accept(".global")) return parse_variables(Space::kGlobal, Linkage::kInternal, true);
  if (accept(".const")) return parse_variables(Space::kConst, Linkage::kInternal, true);
  if (accept(".loc")) return parse_loc();
  if (accept(".pragma")) return skip_statement();
  if (accept(".file")) return parse_file();
  if (accept(".section")) return parse_section();
  if (token_.is(".extern") && ahead_.is(".shared")) {
    advance();
    advance();
    return parse_variables(Space::kShared, Linkage::kExtern, true);
  }
  unexpected("a directive that a function's body can hold");
}

void Parser::add_registers(std::string_view name, int bits) {
  if (function_.registers.size() >= kMaxRegisters) fail("a function has too many registers");
  const auto first = static_cast<int>(function_.registers.size());
  if (!token_.is('<')) {
    function_.registers.push_back({std::string(name), bits});
    return declare(name, {Operand::Kind::kRegister, first});
  }
  advance();
  const std::uint64_t count =
      unsigned_number("a number of registers", kMaxRegisters - function_.registers.size());
  expect('>', "after a number of registers");
  for (std::uint64_t i = 0; i < count; ++i) {
    function_.registers.push_back({std::string(name) + std::to_string(i), bits});
  }
  Scope& scope = scopes_[static_cast<std::size_t>(scope_)];
  if (!scope.ranges.try_emplace(name, Scope::Range{first, static_cast<int>(count)}).second) {
    fail("'" + std::string(name) + "' is declared twice in one scope");
  }
}

void Parser::parse_registers() {
  const std::string_view dotted = expect_dotted("the type of registers");
  const std::optional<Type> type = type_of(dotted);
  if (!type) fail("registers of type '" + std::string(dotted) + "' are not supported");
  const int bits = type->bytes == 0 ? 1 : static_cast<int>(type->bytes) * 8;
  do {
    add_registers(expect_word("the name of a register"), bits);
  } while (accept(','));
  expect(';', "after registers");
}

/// .loc FILE LINE COLUMN [, function_name LABEL [+ N], inlined_at FILE LINE COLUMN]
void Parser::parse_loc() {
  const std::uint64_t file = unsigned_number("the number of a file", 1 << 20);
  const std::uint64_t line = unsigned_number("a line", INT32_MAX);
  unsigned_number("a column", INT32_MAX);
  location_.file = file_index(file);
  location_.line = static_cast<int>(line);
  location_.call_file = -1;
  location_.call_line = 0;
  while (accept(',')) {
    if (accept("function_name")) {
      expect_word("the label of a function's name");
      if (accept('+')) constant_term();
    } else if (accept("inlined_at")) {
      location_.call_file = file_index(unsigned_number("the number of a file", 1 << 20));
      location_.call_line = static_cast<int>(unsigned_number("a line", INT32_MAX));
      unsigned_number("a column", INT32_MAX);
    } else {
      unexpected("'function_name' or 'inlined_at'");
    }
  }
}

void Parser::parse_labelled(std::string_view label) {
  if (accept(".branchtargets")) {
    PendingTable table;
    table.scope = scope_;
    table.line = token_.line;
    do {
      table.labels.push_back(expect_word("a label"));
    } while (accept(','));
    expect(';', "after .branchtargets");
    table.table = static_cast<int>(tables_.size());
    declare(label, {Operand::Kind::kTable, table.table});
    tables_.push_back(std::move(table));
  } else if (accept(".callprototype")) {
    parse_prototype(label);
  } else if (accept(".calltargets")) {
    // The functions agree in their types: the first one's stand for all.
    Prototype prototype;
    do {
      const std::optional<Symbol> symbol = find(expect_word("the name of a function"));
      if (!symbol || symbol->kind != Operand::Kind::kFunction) fail("unknown function");
      const Function& function = module_->functions[static_cast<std::size_t>(symbol->index)];
      prototype = {function.results, function.parameters};
    } while (accept(','));
    expect(';', "after .calltargets");
    declare(label, {Operand::Kind::kPrototype, static_cast<int>(function_.prototypes.size())});
    function_.prototypes.push_back(std::move(prototype));
  } else {
    Scope& scope = scopes_[static_cast<std::size_t>(scope_)];
    if (!scope.labels.try_emplace(label, static_cast<int>(function_.instructions.size())).second) {
      fail("label '" + std::string(label) + "' stands twice in one scope");
    }
  }
}

void Parser::parse_prototype(std::string_view label) {
  Prototype prototype;
  // Names of parameters mean nothing here; scope -1 keeps them from being declared.
  const int scope = std::exchange(scope_, -1);
  if (token_.is('(')) prototype.results = parse_parameters(true);
  expect_word("'_'");
  if (token_.is('(')) prototype.parameters = parse_parameters(false);
  scope_ = scope;
  while (token_.kind == Token::Kind::kDotted) {
    if (accept(".noreturn")) continue;
    advance();
    if (token_.kind == Token::Kind::kNumber) number();
  }
  expect(';', "after .callprototype");
  declare(label, {Operand::Kind::kPrototype, static_cast<int>(function_.prototypes.size())});
  function_.prototypes.push_back(std::move(prototype));
}

int Parser::find_label(int scope, std::string_view name) const {
  while (scope >= 0) {
    const Scope& here = scopes_[static_cast<std::size_t>(scope)];
    if (const auto found = here.labels.find(name); found != here.labels.end()) {
      return found->second;
    }
    scope = here.parent;
  }
  return -1;
}

void Parser::resolve_labels(Operand& operand, int line) {
  for (Operand& element : operand.elements) resolve_labels(element, line);
  for (Operand& element : operand.second) resolve_labels(element, line);
  if (operand.kind != Operand::Kind::kLabel || operand.index > kPendingScope) return;
  operand.index = find_label(kPendingScope - operand.index, operand.name);
  if (operand.index < 0) lexer_.fail(line, "unknown name '" + operand.name + "'");
}

void Parser::finish_body() {
  // Running off the end of a body is a return; labels may stand there.
  int last_label = -1;
  for (const Scope& scope : scopes_) {
    for (const auto& [name, index] : scope.labels) last_label = std::max(last_label, index);
  }
  std::vector<Instruction>& instructions = function_.instructions;
  if (instructions.empty() || !ends_function(instructions.back()) ||
      last_label == static_cast<int>(instructions.size())) {
    Instruction end;
    end.opcode = "ret";
    end.location = location_;
    end.location.ptx_line = token_.line;
    instructions.push_back(std::move(end));
  }
  for (Instruction& instruction : instructions) {
    const int line = instruction.location.ptx_line;
    for (Operand& operand : instruction.operands) resolve_labels(operand, line);
    for (Operand& operand : instruction.call_results) resolve_labels(operand, line);
    for (Operand& operand : instruction.call_arguments) resolve_labels(operand, line);
  }
  function_.branch_tables.resize(tables_.size());
  for (const PendingTable& table : tables_) {
    for (const std::string_view label : table.labels) {
      const int target = find_label(table.scope, label);
      if (target < 0) lexer_.fail(table.line, "unknown label '" + std::string(label) + "'");
      function_.branch_tables[static_cast<std::size_t>(table.table)].push_back(target);
    }
  }
}

}  // namespace gpusim::ptx
