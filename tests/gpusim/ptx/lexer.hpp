// Splits PTX text into tokens, one at a time. Tokens are views into the text, which must outlive
// them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gpusim::ptx {

struct Token {
  enum class Kind : std::uint8_t {
    kEnd,
    kWord,    ///< names, registers, labels, opcodes: add, %rd1, $L__BB0_2, _
    kDotted,  ///< .global, .m16n8k16, .shared::cluster: with its dot
    kNumber,  ///< 12, 0x7f, 0f3F800000, 9.0
    kString,  ///< without its quotes; escapes are left as they are
    kPunctuation
  };
  Kind kind = Kind::kEnd;
  std::string_view text;
  int line = 1;
  const char* begin = nullptr;  ///< where it stands: to tell whether two tokens touch

  bool is(char punctuation) const {
    return kind == Kind::kPunctuation && text.front() == punctuation;
  }
  bool is(std::string_view word) const { return kind != Kind::kString && text == word; }
  const char* end() const { return begin + text.size(); }
};

class Lexer {
 public:
  Lexer(std::string_view text, std::string name) : text_(text), name_(std::move(name)) {}
  /// The next token; kEnd for ever at the end. Throws ParseError at an open comment or string.
  Token next();
  const std::string& name() const { return name_; }
  /// Throws ParseError "NAME:LINE: message".
  [[noreturn]] void fail(int line, const std::string& message) const;

 private:
  void skip_blanks();
  void skip_to_end_of_line();
  Token take(Token::Kind kind, std::size_t length);
  std::size_t number_length() const;
  char at(std::size_t offset) const {
    return position_ + offset < text_.size() ? text_[position_ + offset] : '\0';
  }

  std::string_view text_;
  std::string name_;
  std::size_t position_ = 0;
  int line_ = 1;
};

}  // namespace gpusim::ptx
