// Initial values of variables: numbers, lists that may be short or nested, and addresses of
// variables and functions (tables of function pointers, vtables).
#include <bit>
#include <cstring>

#include "ptx/parser.hpp"

namespace gpusim::ptx {
namespace {

/// What a false array size may make us allocate.
constexpr std::size_t kMaxInitialBytes = std::size_t{1} << 28;

std::uint64_t bits_of(double value, std::size_t bytes) {
  if (bytes == 4) return std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return std::bit_cast<std::uint64_t>(value);
}

double value_of(const Number& number) {
  if (!number.is_float) return static_cast<double>(number.bits);
  if (number.is_double) return std::bit_cast<double>(number.bits);
  return std::bit_cast<float>(static_cast<std::uint32_t>(number.bits));
}

}  // namespace

void Parser::parse_initial(Declarator& declarator) {
  Variable& variable = declarator.variable;
  if (!token_.is('{')) return parse_initial_value(variable, declarator.type, 0);
  // A vector's elements are one more dimension.
  if (declarator.element_bytes != declarator.type.bytes || declarator.dimensions.empty()) {
    declarator.dimensions.push_back(declarator.element_bytes / declarator.type.bytes);
  }
  const bool sized = declarator.dimensions.front() != 0;
  parse_initial_list(declarator, 0, 0, sized ? variable.bytes : kMaxInitialBytes);
  if (!sized) {
    std::size_t row = declarator.type.bytes;
    for (std::size_t i = 1; i < declarator.dimensions.size(); ++i) row *= declarator.dimensions[i];
    variable.bytes = row == 0 ? 0 : (variable.initial.size() + row - 1) / row * row;
  }
}

/// The list of one dimension, whose bytes are [at, end).
void Parser::parse_initial_list(Declarator& declarator, std::size_t level, std::size_t at,
                                std::size_t end) {
  if (level > kMaxDepth) fail("an initial value is nested too deeply");
  std::size_t step = declarator.type.bytes;
  for (std::size_t i = level + 1; i < declarator.dimensions.size(); ++i) {
    step *= declarator.dimensions[i];
  }
  expect('{', "of an initial value");
  while (!accept('}')) {
    const bool nested = token_.is('{');
    if (nested && level + 1 >= declarator.dimensions.size()) unexpected("a value");
    // Without braces of their own, values fill the inner dimensions one after another.
    const std::size_t bytes = nested ? step : declarator.type.bytes;
    if (bytes > end - at) fail("'" + declarator.variable.name + "' has too many initial values");
    if (nested) {
      parse_initial_list(declarator, level + 1, at, at + bytes);
    } else {
      parse_initial_value(declarator.variable, declarator.type, at);
    }
    at += bytes;
    if (!token_.is('}')) expect(',', "between initial values");
  }
}

void Parser::parse_initial_value(Variable& variable, const Type& type, std::size_t at) {
  const bool symbol = token_.kind == Token::Kind::kWord;
  if (symbol) return parse_initial_symbol(variable, type.bytes, at, 0);
  if (token_.kind == Token::Kind::kNumber && ahead_.is('(')) {
    // 0xFF00(symbol): one byte (or another piece) of an address.
    const Number mask = number();
    if (mask.is_float || mask.bits == 0) fail("the mask of an address must be an integer");
    expect('(', "after the mask of an address");
    parse_initial_symbol(variable, type.bytes, at, std::countr_zero(mask.bits));
    return expect(')', "after an address");
  }
  const bool negative_float = token_.is('-') && ahead_.kind == Token::Kind::kNumber &&
                              ahead_.text.find_first_of(".") != std::string_view::npos;
  if (negative_float) advance();
  const bool hexadecimal_float =
      token_.text.size() > 2 && (token_.text.starts_with("0f") || token_.text.starts_with("0F") ||
                                 token_.text.starts_with("0d") || token_.text.starts_with("0D"));
  const bool decimal_float = token_.kind == Token::Kind::kNumber &&
                             !token_.text.starts_with("0x") && !token_.text.starts_with("0X") &&
                             token_.text.find_first_of(".eE") != std::string_view::npos;
  if (hexadecimal_float || decimal_float) {
    const Number value = number();
    if (type.bytes != 4 && type.bytes != 8) {
      fail("a floating-point value for a variable of type ." + std::string(type.name));
    }
    const bool as_it_is = !negative_float && type.bytes == (value.is_double ? 8U : 4U);
    const double number_value = negative_float ? -value_of(value) : value_of(value);
    return store_initial(variable, at, as_it_is ? value.bits : bits_of(number_value, type.bytes),
                         type.bytes);
  }
  const std::int64_t value = constant_expression();
  store_initial(variable, at,
                type.floating ? bits_of(static_cast<double>(value), type.bytes)
                              : static_cast<std::uint64_t>(value),
                type.bytes);
}

/// symbol, symbol+8, generic(symbol), generic(symbol)+8.
void Parser::parse_initial_symbol(Variable& variable, std::size_t bytes, std::size_t at,
                                  int shift) {
  Relocation relocation;
  relocation.at = at;
  relocation.bytes = static_cast<int>(bytes);
  relocation.shift = shift;
  std::string_view name = expect_word("the name of a variable or function");
  if (name == "generic" && accept('(')) {
    relocation.generic = true;
    name = expect_word("the name of a variable or function");
    if (token_.is('+') || token_.is('-')) relocation.addend = constant_expression(4);
    expect(')', "after generic(");
  }
  relocation.unresolved = std::string(name);
  while (token_.is('+') || token_.is('-')) {
    const bool minus = token_.is('-');
    advance();
    const auto value = static_cast<std::uint64_t>(constant_term());
    relocation.addend = static_cast<std::int64_t>(static_cast<std::uint64_t>(relocation.addend) +
                                                  (minus ? 0 - value : value));
  }
  store_initial(variable, at, 0, bytes);
  variable.relocations.push_back(std::move(relocation));
}

void Parser::store_initial(Variable& variable, std::size_t at, std::uint64_t bits,
                           std::size_t bytes) {
  if (at > kMaxInitialBytes) fail("'" + variable.name + "' has initial values beyond 256 MiB");
  if (variable.initial.size() < at + bytes) variable.initial.resize(at + bytes);
  std::memcpy(variable.initial.data() + at, &bits, std::min(bytes, sizeof bits));
}

}  // namespace gpusim::ptx
