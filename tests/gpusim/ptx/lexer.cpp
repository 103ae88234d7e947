// PTX text to tokens, see lexer.hpp.
#include "ptx/lexer.hpp"

#include "ptx/parse.hpp"

namespace gpusim::ptx {
namespace {

// Not <cctype>: its functions ask the locale for every character.
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_name_start(char c) {
  return is_letter(c) || c == '_' || c == '$' || c == '%';
}
bool is_name_part(char c) {
  return is_letter(c) || is_digit(c) || c == '_' || c == '$';
}

}  // namespace

void Lexer::fail(int line, const std::string& message) const {
  throw ParseError(name_ + ":" + std::to_string(line) + ": " + message);
}

void Lexer::skip_to_end_of_line() {
  while (position_ < text_.size() && text_[position_] != '\n') ++position_;
}

void Lexer::skip_blanks() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c == '\n') {
      ++line_;
      ++position_;
      // A line of the C preprocessor, left over in texts made from .ptx sources.
      if (at(0) == '#') skip_to_end_of_line();
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v' || c == '\0') {
      ++position_;
    } else if (c == '/' && at(1) == '/') {
      skip_to_end_of_line();
    } else if (c == '/' && at(1) == '*') {
      const int opened = line_;
      position_ += 2;
      while (!(at(0) == '*' && at(1) == '/')) {
        if (position_ >= text_.size()) fail(opened, "a comment that does not end");
        if (at(0) == '\n') ++line_;
        ++position_;
      }
      position_ += 2;
    } else {
      return;
    }
  }
}

Token Lexer::take(Token::Kind kind, std::size_t length) {
  Token token;
  token.kind = kind;
  token.text = text_.substr(position_, length);
  token.line = line_;
  token.begin = token.text.data();
  position_ += length;
  return token;
}

/// Digits, letters and points; a sign only after the exponent of a decimal number.
std::size_t Lexer::number_length() const {
  const bool prefixed = at(0) == '0' && is_letter(at(1));
  std::size_t length = 1;
  while (true) {
    const char c = at(length);
    const bool exponent_sign =
        (c == '+' || c == '-') && !prefixed && (at(length - 1) == 'e' || at(length - 1) == 'E');
    if (!is_digit(c) && !is_letter(c) && c != '.' && !exponent_sign) return length;
    ++length;
  }
}

Token Lexer::next() {
  skip_blanks();
  if (position_ >= text_.size()) return take(Token::Kind::kEnd, 0);
  const char c = text_[position_];
  std::size_t length = 1;
  if (is_name_start(c) && (c != '%' || is_name_part(at(1)))) {
    while (is_name_part(at(length))) ++length;
    return take(Token::Kind::kWord, length);
  }
  if (is_digit(c)) return take(Token::Kind::kNumber, number_length());
  if (c == '.' && is_name_part(at(1))) {
    while (is_name_part(at(length)) ||
           (at(length) == ':' && at(length + 1) == ':' && is_name_part(at(length + 2)))) {
      length += at(length) == ':' ? 2 : 1;
    }
    return take(Token::Kind::kDotted, length);
  }
  if (c == '"') {
    ++position_;
    length = 0;
    while (at(length) != '"') {
      if (position_ + length >= text_.size() || at(length) == '\n') {
        fail(line_, "a string that does not end");
      }
      length += at(length) == '\\' && at(length + 1) == '"' ? 2 : 1;
    }
    Token token = take(Token::Kind::kString, length);
    ++position_;
    return token;
  }
  return take(Token::Kind::kPunctuation, 1);
}

}  // namespace gpusim::ptx
