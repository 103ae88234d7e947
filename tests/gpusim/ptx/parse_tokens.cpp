// The parser's footing: tokens, numbers and constant expressions.
#include <charconv>
#include <cstring>

#include "ptx/parser.hpp"

namespace gpusim::ptx {

Parser::Parser(std::string_view text, const std::string& name)
    : lexer_(text, name), module_(std::make_unique<Module>()) {
  token_ = lexer_.next();
  ahead_ = lexer_.next();
}

void Parser::advance() {
  token_ = ahead_;
  ahead_ = lexer_.next();
}

bool Parser::accept(char punctuation) {
  if (!token_.is(punctuation)) return false;
  advance();
  return true;
}

bool Parser::accept(std::string_view word) {
  if (!token_.is(word)) return false;
  advance();
  return true;
}

void Parser::fail(const std::string& message) const {
  lexer_.fail(token_.line, message);
}

void Parser::unexpected(const char* expected) const {
  const std::string found = token_.kind == Token::Kind::kEnd ? "the end of the text"
                                                             : "'" + std::string(token_.text) + "'";
  fail("found " + found + ", expected " + expected);
}

void Parser::expect(char punctuation, const char* where) {
  if (token_.is(punctuation)) return advance();
  unexpected((std::string("'") + punctuation + "' " + where).c_str());
}

std::string_view Parser::expect_word(const char* what) {
  if (token_.kind != Token::Kind::kWord) unexpected(what);
  const std::string_view text = token_.text;
  advance();
  return text;
}

std::string_view Parser::expect_dotted(const char* what) {
  if (token_.kind != Token::Kind::kDotted) unexpected(what);
  const std::string_view text = token_.text;
  advance();
  return text;
}

Number Parser::number() {
  if (token_.kind != Token::Kind::kNumber) unexpected("a number");
  std::string_view text = token_.text;
  auto parse_integer = [&](std::string_view digits, int base) {
    std::uint64_t value = 0;
    if (!digits.empty() && (digits.back() == 'U' || digits.back() == 'u')) digits.remove_suffix(1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
      fail("'" + std::string(text) + "' is no number of 64 bits");
    }
    return value;
  };
  const char prefix = text.size() > 1 && text[0] == '0' ? static_cast<char>(text[1] | 0x20) : '\0';
  Number result;
  if (prefix == 'x') {
    result.bits = parse_integer(text.substr(2), 16);
  } else if (prefix == 'b') {
    result.bits = parse_integer(text.substr(2), 2);
  } else if (prefix == 'f' || prefix == 'd') {
    result.is_float = true;
    result.is_double = prefix == 'd';
    if (text.size() != (result.is_double ? 18U : 10U)) {
      fail("'" + std::string(text) + "' is no hexadecimal floating-point number");
    }
    result.bits = parse_integer(text.substr(2), 16);
  } else if (text.find_first_of(".eE") != std::string_view::npos) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      fail("'" + std::string(text) + "' is no number");
    }
    result.is_float = true;
    result.is_double = true;
    std::memcpy(&result.bits, &value, sizeof value);
  } else if (text.size() > 1 && text[0] == '0') {
    result.bits = parse_integer(text.substr(1), 8);
  } else {
    result.bits = parse_integer(text, 10);
  }
  advance();
  return result;
}

std::uint64_t Parser::unsigned_number(const char* what, std::uint64_t limit) {
  if (token_.kind != Token::Kind::kNumber) unexpected(what);
  const Number value = number();
  if (value.is_float || value.bits > limit) {
    fail(std::string(what) + " must be an integer up to " + std::to_string(limit));
  }
  return value.bits;
}

std::int64_t Parser::signed_number() {
  const bool negative = accept('-');
  const Number value = number();
  if (value.is_float) fail("found a floating-point number, expected an integer");
  return static_cast<std::int64_t>(negative ? 0 - value.bits : value.bits);
}

std::int64_t Parser::constant_term() {
  if (depth_ > kMaxDepth) fail("an expression is nested too deeply");
  ++depth_;
  std::uint64_t value = 0;
  if (accept('-')) {
    value = 0 - static_cast<std::uint64_t>(constant_term());
  } else if (accept('+')) {
    value = static_cast<std::uint64_t>(constant_term());
  } else if (accept('~')) {
    value = ~static_cast<std::uint64_t>(constant_term());
  } else if (accept('!')) {
    value = constant_term() == 0 ? 1 : 0;
  } else if (accept('(')) {
    value = static_cast<std::uint64_t>(constant_expression());
    expect(')', "after an expression");
  } else {
    const Number literal = number();
    if (literal.is_float) fail("found a floating-point number, expected an integer");
    value = literal.bits;
  }
  --depth_;
  return static_cast<std::int64_t>(value);
}

/// Binary operators by climbing precedences: | ^ & shifts, sums, products.
std::int64_t Parser::constant_expression(int lowest_precedence) {
  auto precedence_of = [this]() {
    if (token_.kind != Token::Kind::kPunctuation) return -1;
    switch (token_.text.front()) {
      case '|':
        return 0;
      case '^':
        return 1;
      case '&':
        return 2;
      case '<':
        return ahead_.is('<') ? 3 : -1;
      case '>':
        return ahead_.is('>') ? 3 : -1;
      case '+':
      case '-':
        return 4;
      case '*':
      case '/':
        return 5;
      default:
        return -1;
    }
  };
  // Wraps around like the assembler's 64-bit arithmetic.
  auto left = static_cast<std::uint64_t>(constant_term());
  for (int precedence = precedence_of(); precedence >= lowest_precedence;
       precedence = precedence_of()) {
    const char op = token_.text.front();
    advance();
    if (op == '<' || op == '>') advance();
    const auto right = static_cast<std::uint64_t>(constant_expression(precedence + 1));
    switch (op) {
      case '|':
        left |= right;
        break;
      case '^':
        left ^= right;
        break;
      case '&':
        left &= right;
        break;
      case '<':
        left = right < 64 ? left << right : 0;
        break;
      case '>':
        left = right < 64 ? left >> right : 0;
        break;
      case '+':
        left += right;
        break;
      case '-':
        left -= right;
        break;
      case '*':
        left *= right;
        break;
      default:
        if (right == 0) fail("division by zero in an expression");
        left /= right;
    }
  }
  return static_cast<std::int64_t>(left);
}

void Parser::skip_statement() {
  while (!token_.is(';')) {
    if (token_.kind == Token::Kind::kEnd) unexpected("';'");
    advance();
  }
  advance();
}

void Parser::skip_braces() {
  expect('{', "of a section");
  int open = 1;
  while (open > 0) {
    if (token_.kind == Token::Kind::kEnd) unexpected("'}'");
    if (token_.is('{')) ++open;
    if (token_.is('}')) --open;
    advance();
  }
}

}  // namespace gpusim::ptx
