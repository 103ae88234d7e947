// The top level of a PTX text: directives and variables.
#include <algorithm>
#include <array>

#include "ptx/parser.hpp"

namespace gpusim::ptx {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 40;
constexpr std::size_t kMaxAlignment = std::size_t{1} << 20;
constexpr std::uint64_t kMaxFileNumber = 1 << 20;

std::optional<Space> space_of(std::string_view dotted) {
  if (dotted == ".global") return Space::kGlobal;
  if (dotted == ".const") return Space::kConst;
  if (dotted == ".shared") return Space::kShared;
  if (dotted == ".local") return Space::kLocal;
  if (dotted == ".param") return Space::kParam;
  return std::nullopt;
}

}  // namespace

std::optional<Type> type_of(std::string_view dotted) {
  struct Named {
    std::string_view name;
    std::size_t bytes;
    bool floating;
  };
  static constexpr std::array<Named, 31> kTypes{{
      {"b32", 4, false},     {"b64", 8, false},        {"f32", 4, true},     {"u32", 4, false},
      {"u64", 8, false},     {"s32", 4, false},        {"s64", 8, false},    {"b8", 1, false},
      {"b16", 2, false},     {"f64", 8, true},         {"pred", 0, false},   {"u16", 2, false},
      {"s16", 2, false},     {"u8", 1, false},         {"s8", 1, false},     {"f16", 2, false},
      {"bf16", 2, false},    {"f16x2", 4, false},      {"bf16x2", 4, false}, {"b128", 16, false},
      {"tf32", 4, false},    {"e4m3", 1, false},       {"e5m2", 1, false},   {"texref", 8, false},
      {"surfref", 8, false}, {"samplerref", 8, false}, {"e4m3x2", 2, false}, {"e5m2x2", 2, false},
      {"f32x2", 8, false},   {"u16x2", 4, false},      {"s16x2", 4, false},
  }};
  for (const Named& type : kTypes) {
    if (dotted.substr(1) == type.name) return Type{type.name, type.bytes, type.floating};
  }
  return std::nullopt;
}

std::unique_ptr<Module> parse(std::string_view text, const std::string& name) {
  return Parser(text, name).run();
}

std::unique_ptr<Module> Parser::run() {
  while (token_.kind != Token::Kind::kEnd) parse_statement();
  if (module_->target.empty()) fail("found no .target: this is no PTX text");
  resolve_relocations();
  return std::move(module_);
}

void Parser::parse_statement() {
  location_ = Location();
  if (accept(';')) return;
  const bool directive = token_.kind == Token::Kind::kDotted;
  if (!directive) unexpected("a directive");
  if (accept(".version")) {
    number();
  } else if (accept(".target")) {
    parse_target();
  } else if (accept(".address_size")) {
    if (unsigned_number("the address size", 64) != 64) fail("only 64-bit addresses are supported");
  } else if (accept(".file")) {
    parse_file();
  } else if (accept(".section")) {
    parse_section();
  } else if (accept(".loc")) {
    parse_loc();
  } else if (accept(".pragma")) {
    skip_statement();
  } else if (accept(".alias")) {
    parse_alias();
  } else {
    Linkage linkage = Linkage::kInternal;
    while (parse_linkage(linkage)) {
    }
    if (accept(".entry")) return parse_function(true, linkage);
    if (accept(".func")) return parse_function(false, linkage);
    const std::optional<Space> space =
        token_.kind == Token::Kind::kDotted ? space_of(token_.text) : std::nullopt;
    if (!space) unexpected("a directive that PTX has here");
    advance();
    parse_variables(*space, linkage, false);
  }
}

void Parser::parse_target() {
  const std::string_view name = expect_word("an architecture such as sm_90");
  module_->target = std::string(name);
  int architecture = 0;
  if (name.starts_with("sm_")) {
    for (const char c : name.substr(3)) {
      if (c < '0' || c > '9' || architecture > 9999) break;
      architecture = architecture * 10 + (c - '0');
    }
  }
  if (architecture == 0) fail("'" + std::string(name) + "' is no architecture");
  module_->architecture = architecture;
  while (accept(',')) expect_word("a target option");
}

void Parser::parse_file() {
  const std::uint64_t number = unsigned_number("the number of a file", kMaxFileNumber);
  if (token_.kind != Token::Kind::kString) unexpected("the name of a file");
  module_->files[static_cast<std::size_t>(file_index(number))] = std::string(token_.text);
  advance();
  while (accept(',')) constant_expression();
}

/// `.loc` may name a file before `.file` says what it is called.
int Parser::file_index(std::uint64_t number) {
  const auto [found, inserted] =
      file_indices_.try_emplace(number, static_cast<int>(module_->files.size()));
  if (inserted) module_->files.emplace_back();
  return found->second;
}

void Parser::parse_section() {
  // Debugging information; its name is .debug_info or "name, flags".
  while (!token_.is('{')) {
    if (token_.kind == Token::Kind::kEnd) unexpected("'{'");
    advance();
  }
  skip_braces();
}

void Parser::parse_alias() {
  const std::string_view name = expect_word("the name of a function");
  expect(',', "between two names");
  const std::string_view target = expect_word("the name of a function");
  expect(';', "after .alias");
  const auto found = globals_.names.find(target);
  if (found == globals_.names.end() || found->second.kind != Operand::Kind::kFunction) {
    fail(".alias of '" + std::string(target) + "', which is no function");
  }
  globals_.names[name] = found->second;
  module_->function_by_name[std::string(name)] = found->second.index;
}

bool Parser::parse_linkage(Linkage& linkage) {
  if (accept(".visible")) {
    linkage = Linkage::kVisible;
  } else if (accept(".extern")) {
    linkage = Linkage::kExtern;
  } else if (accept(".weak")) {
    linkage = Linkage::kWeak;
  } else if (accept(".common")) {
    linkage = Linkage::kCommon;
  } else {
    return false;
  }
  return true;
}

void Parser::parse_name_and_dimensions(Declarator& declarator) {
  declarator.name = expect_word("the name of a variable");
  declarator.variable.name = std::string(declarator.name);
  declarator.dimensions.clear();
  std::size_t total = declarator.element_bytes;
  while (accept('[')) {
    std::uint64_t count = 0;
    if (!token_.is(']')) count = static_cast<std::uint64_t>(constant_expression());
    expect(']', "after an array size");
    if (count > kMaxBytes || (count != 0 && total > kMaxBytes / count)) {
      fail("'" + declarator.variable.name + "' is larger than 1 TiB");
    }
    declarator.dimensions.push_back(count);
    total *= count;
  }
  declarator.variable.bytes = total;
}

Declarator Parser::parse_declarator(Space space) {
  Declarator declarator;
  Variable& variable = declarator.variable;
  variable.space = space;
  std::size_t alignment = 0;
  std::size_t vector = 1;
  bool of_pointer = false;  // what follows .ptr describes what the pointer points at
  while (token_.kind == Token::Kind::kDotted) {
    if (accept(".align")) {
      const std::uint64_t value = unsigned_number("an alignment", kMaxAlignment);
      if (value == 0 || (value & (value - 1)) != 0) fail("an alignment must be a power of two");
      if (!of_pointer) alignment = value;
    } else if (accept(".attribute")) {
      expect('(', "after .attribute");
      for (int open = 1; open > 0; advance()) {
        if (token_.kind == Token::Kind::kEnd) unexpected("')'");
        if (token_.is('(')) ++open;
        if (token_.is(')')) --open;
        if (token_.is(".managed")) variable.managed = true;
      }
    } else if (accept(".ptr")) {
      of_pointer = true;
    } else if (of_pointer && space_of(token_.text)) {
      advance();
    } else if (accept(".v2")) {
      vector = 2;
    } else if (accept(".v4")) {
      vector = 4;
    } else if (const std::optional<Type> type = type_of(token_.text)) {
      declarator.type = *type;
      advance();
    } else {
      unexpected("a type");
    }
  }
  if (declarator.type.bytes == 0) unexpected("a type that a variable can have");
  declarator.element_bytes = declarator.type.bytes * vector;
  variable.alignment = alignment != 0 ? alignment : declarator.element_bytes;
  parse_name_and_dimensions(declarator);
  return declarator;
}

void Parser::parse_variables(Space space, Linkage linkage, bool in_function) {
  Declarator declarator = parse_declarator(space);
  declarator.variable.linkage = linkage;
  Declarator pattern = declarator;
  while (true) {
    if (accept('=')) parse_initial(declarator);
    declare_variable(declarator.name, std::move(declarator.variable), in_function);
    if (!accept(',')) break;
    declarator = pattern;
    parse_name_and_dimensions(declarator);
  }
  expect(';', "after a declaration");
}

void Parser::declare_variable(std::string_view name, Variable variable, bool in_function) {
  if (in_function && (variable.space == Space::kLocal || variable.space == Space::kParam)) {
    declare(name, {Operand::Kind::kLocal, static_cast<int>(function_.locals.size())});
    function_.locals.push_back(std::move(variable));
    return;
  }
  const Symbol symbol{Operand::Kind::kVariable, static_cast<int>(module_->variables.size())};
  if (in_function) {
    variable.owner_function = function_index_;
    declare(name, symbol);
  } else {
    const auto [found, inserted] = globals_.names.try_emplace(name, symbol);
    if (!inserted) {
      if (found->second.kind != Operand::Kind::kVariable) {
        fail("'" + std::string(name) + "' is declared twice");
      }
      return merge_variable(module_->variables[static_cast<std::size_t>(found->second.index)],
                            std::move(variable));
    }
  }
  module_->variable_by_name.try_emplace(variable.name, symbol.index);
  module_->variables.push_back(std::move(variable));
}

/// A definition replaces a declaration of the same name, whichever comes first.
void Parser::merge_variable(Variable& known, Variable variable) {
  if (variable.linkage == Linkage::kExtern) return;
  if (known.linkage != Linkage::kExtern) fail("'" + variable.name + "' is defined twice");
  known = std::move(variable);
}

void Parser::resolve_relocations() {
  for (Variable& variable : module_->variables) {
    for (Relocation& relocation : variable.relocations) {
      const auto found = globals_.names.find(relocation.unresolved);
      if (found == globals_.names.end()) continue;
      if (found->second.kind == Operand::Kind::kFunction) {
        relocation.function = found->second.index;
      } else {
        relocation.variable = found->second.index;
      }
      relocation.unresolved.clear();
    }
  }
}

}  // namespace gpusim::ptx
