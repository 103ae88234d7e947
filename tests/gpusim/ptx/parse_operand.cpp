// Instructions and their operands.
#include <algorithm>
#include <array>
#include <charconv>

#include "ptx/parser.hpp"

namespace gpusim::ptx {
namespace {

/// Registers that the machine provides, without their component (.x) or number.
bool is_special_register(std::string_view name) {
  static constexpr std::array<std::string_view, 35> kNames{
      "%tid",
      "%ntid",
      "%laneid",
      "%warpid",
      "%nwarpid",
      "%ctaid",
      "%nctaid",
      "%smid",
      "%nsmid",
      "%gridid",
      "%is_explicit_cluster",
      "%clusterid",
      "%nclusterid",
      "%cluster_ctaid",
      "%cluster_nctaid",
      "%cluster_ctarank",
      "%cluster_nctarank",
      "%lanemask_eq",
      "%lanemask_le",
      "%lanemask_lt",
      "%lanemask_ge",
      "%lanemask_gt",
      "%clock",
      "%clock_hi",
      "%clock64",
      "%globaltimer",
      "%globaltimer_lo",
      "%globaltimer_hi",
      "%total_smem_size",
      "%aggr_smem_size",
      "%dynamic_smem_size",
      "%current_graph_exec",
      "%reserved_smem_offset_begin",
      "%reserved_smem_offset_end",
      "%reserved_smem_offset_cap",
  };
  if (name.starts_with("%envreg") || name.starts_with("%reserved_smem_offset_") ||
      name.starts_with("%pm")) {
    return true;
  }
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

}  // namespace

std::optional<Symbol> Parser::find(std::string_view name) const {
  std::size_t digits = name.size();
  while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9') --digits;
  const std::string_view prefix = name.substr(0, digits);
  int number = -1;
  if (digits < name.size()) {
    std::from_chars(name.data() + digits, name.data() + name.size(), number);
  }
  for (int i = scope_; i >= 0; i = scopes_[static_cast<std::size_t>(i)].parent) {
    const Scope& scope = scopes_[static_cast<std::size_t>(i)];
    if (const auto found = scope.names.find(name); found != scope.names.end()) {
      return found->second;
    }
    if (number < 0) continue;
    if (const auto range = scope.ranges.find(prefix);
        range != scope.ranges.end() && number < range->second.count) {
      return Symbol{Operand::Kind::kRegister, range->second.first + number};
    }
  }
  if (const auto found = globals_.names.find(name); found != globals_.names.end()) {
    return found->second;
  }
  return std::nullopt;
}

void Parser::parse_instruction() {
  Instruction instruction;
  instruction.location = location_;
  instruction.location.ptx_line = token_.line;
  if (accept('@')) {
    instruction.guard_negated = accept('!');
    const std::string_view name = expect_word("a predicate register");
    const std::optional<Symbol> symbol = find(name);
    if (!symbol || symbol->kind != Operand::Kind::kRegister) {
      fail("'" + std::string(name) + "' is no register");
    }
    instruction.guard = symbol->index;
  }
  instruction.opcode = std::string(expect_word("an instruction"));
  while (token_.kind == Token::Kind::kDotted) {
    instruction.modifiers.emplace_back(token_.text.substr(1));
    advance();
  }
  if (instruction.opcode == "call") {
    parse_call(instruction);
  } else if (!token_.is(';')) {
    do {
      instruction.operands.push_back(parse_operand());
    } while (accept(','));
  }
  expect(';', "after an instruction");
  function_.instructions.push_back(std::move(instruction));
}

void Parser::parse_call_list(std::vector<Operand>& operands) {
  expect('(', "of a call");
  while (!accept(')')) {
    operands.push_back(parse_operand());
    if (!token_.is(')')) expect(',', "between the operands of a call");
  }
}

/// call [(results),] callee [, (arguments) [, prototype]]
void Parser::parse_call(Instruction& instruction) {
  if (token_.is('(')) {
    parse_call_list(instruction.call_results);
    expect(',', "after the results of a call");
  }
  Operand callee = parse_operand();
  if (callee.kind != Operand::Kind::kFunction && callee.kind != Operand::Kind::kRegister) {
    fail("a call of what is neither a declared function nor a register");
  }
  instruction.operands.push_back(std::move(callee));
  if (!accept(',')) return;
  if (token_.is('(')) {
    parse_call_list(instruction.call_arguments);
    if (!accept(',')) return;
  }
  const std::string_view name = expect_word("the prototype of a call");
  const std::optional<Symbol> symbol = find(name);
  if (!symbol || symbol->kind != Operand::Kind::kPrototype) {
    fail("'" + std::string(name) + "' is no prototype");
  }
  instruction.call_prototype = symbol->index;
}

Operand Parser::parse_operand() {
  if (++depth_ > kMaxDepth) fail("an operand is nested too deeply");
  const bool negated = accept('!');
  Operand operand = parse_primary();
  operand.negated = negated;
  if (accept('|')) operand.second.push_back(parse_primary());
  --depth_;
  return operand;
}

Operand Parser::parse_primary() {
  if (token_.is('{')) return parse_vector();
  if (token_.is('[')) return parse_address();
  if (token_.kind != Token::Kind::kWord) return parse_immediate();
  Operand operand = parse_name();
  switch (operand.kind) {
    case Operand::Kind::kVariable:
    case Operand::Kind::kLocal:
    case Operand::Kind::kParameter:
    case Operand::Kind::kResult:
      if (accept('+')) {
        operand.offset = signed_number();
      } else if (token_.is('-')) {
        operand.offset = signed_number();
      }
      break;
    default:
      break;
  }
  return operand;
}

Operand Parser::parse_name() {
  const Token name = token_;
  advance();
  Operand operand;
  if (name.text == "_") return operand;
  std::string_view component;
  if (token_.kind == Token::Kind::kDotted && token_.begin == name.end()) {
    component = token_.text;
    advance();
  }
  if (const std::optional<Symbol> symbol = find(name.text)) {
    operand.kind = symbol->kind;
    operand.index = symbol->index;
    if (!component.empty()) operand.name = std::string(component.substr(1));
    return operand;
  }
  if (name.text.front() == '%') {
    if (!is_special_register(name.text)) {
      lexer_.fail(name.line, "unknown register '" + std::string(name.text) + "'");
    }
    operand.kind = Operand::Kind::kSpecial;
    operand.name = std::string(name.text) + std::string(component);
    return operand;
  }
  if (name.text == "WARP_SZ") {
    operand.kind = Operand::Kind::kImmediate;
    operand.bits = 32;
    return operand;
  }
  operand.kind = Operand::Kind::kLabel;
  operand.index = kPendingScope - scope_;
  operand.name = std::string(name.text);
  return operand;
}

Operand Parser::parse_immediate() {
  Operand operand;
  operand.kind = Operand::Kind::kImmediate;
  const bool negative = token_.is('-') && ahead_.kind == Token::Kind::kNumber;
  if (negative) advance();
  if (token_.kind == Token::Kind::kNumber) {
    const Number value = number();
    operand.is_float = value.is_float;
    operand.is_double = value.is_double;
    operand.bits = value.bits;
    if (negative && value.is_float) {
      operand.bits ^= std::uint64_t{1} << (value.is_double ? 63 : 31);
    } else if (negative) {
      operand.bits = 0 - value.bits;
    }
    return operand;
  }
  if (!token_.is('(') && !token_.is('~') && !token_.is('-')) unexpected("an operand");
  operand.bits = static_cast<std::uint64_t>(constant_term());
  return operand;
}

/// [base], [base+8], [base+-8], [tensor, {coordinates}].
Operand Parser::parse_address() {
  Operand operand;
  operand.kind = Operand::Kind::kAddress;
  expect('[', "of an address");
  operand.elements.push_back(token_.kind == Token::Kind::kWord ? parse_name() : parse_immediate());
  if (accept('+')) {
    operand.offset = signed_number();
  } else if (token_.is('-')) {
    operand.offset = signed_number();
  }
  while (accept(',')) operand.elements.push_back(parse_operand());
  expect(']', "after an address");
  return operand;
}

Operand Parser::parse_vector() {
  Operand operand;
  operand.kind = Operand::Kind::kVector;
  expect('{', "of a vector");
  while (!accept('}')) {
    operand.elements.push_back(parse_operand());
    if (!token_.is('}')) expect(',', "between the elements of a vector");
  }
  return operand;
}

}  // namespace gpusim::ptx
