#include "ops/linear/matrix_algorithms.hpp"

#include <charconv>
#include <cmath>

#include "ops/base/error.hpp"
#include "ops/base/text.hpp"

namespace ingot {

namespace {

constexpr std::string_view kSeparator = " = ";
constexpr std::size_t kDigits = 16;  // of one word

/// Reads exactly `digits` hexadecimal digits.
bool read_word(std::string_view digits, std::uint64_t& word) {
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, word, 16);
  return error == std::errc() && stop == end;
}

/// The algorithm behind the separator of one line.
bool read_algorithm(std::string_view text, MatrixAlgorithm& algorithm) {
  const std::size_t length = kDigits * algorithm.bytes.size();
  if (text.size() < length + 2 || text[length] != ' ') return false;
  for (std::size_t i = 0; i < algorithm.bytes.size(); ++i) {
    if (!read_word(text.substr(i * kDigits, kDigits), algorithm.bytes[i])) return false;
  }
  const std::string_view seconds = text.substr(length + 1);
  const char* end = seconds.data() + seconds.size();
  const auto [stop, error] = std::from_chars(seconds.data(), end, algorithm.seconds);
  return error == std::errc() && stop == end && std::isfinite(algorithm.seconds) &&
         algorithm.seconds >= 0;
}

}  // namespace

AlgorithmChoice MatrixAlgorithms::choice() const {
  const std::lock_guard lock(mutex_);
  return choice_;
}

void MatrixAlgorithms::set_choice(AlgorithmChoice choice) {
  const std::lock_guard lock(mutex_);
  choice_ = choice;
}

std::optional<MatrixAlgorithm> MatrixAlgorithms::find(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = table_.find(key);
  if (found == table_.end()) return std::nullopt;
  return found->second;
}

MatrixAlgorithm MatrixAlgorithms::add(const std::string& key, const MatrixAlgorithm& algorithm) {
  const std::lock_guard lock(mutex_);
  return table_.emplace(key, algorithm).first->second;
}

MatrixAlgorithms::Table MatrixAlgorithms::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

void MatrixAlgorithms::clear() {
  const std::lock_guard lock(mutex_);
  table_.clear();
}

std::string MatrixAlgorithms::export_text() const {
  std::string text;
  for (const auto& [key, algorithm] : table()) {
    text += key;
    text += kSeparator;
    for (const std::uint64_t word : algorithm.bytes) text += fmt::format("{:016x}", word);
    text += fmt::format(" {}\n", algorithm.seconds);
  }
  return text;
}

void MatrixAlgorithms::import_text(std::string_view text) {
  Table read;
  int line_number = 0;
  while (!text.empty()) {
    ++line_number;
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.empty()) continue;
    const std::size_t separator = line.rfind(kSeparator);
    MatrixAlgorithm algorithm;
    if (separator == std::string_view::npos || separator == 0 ||
        !read_algorithm(line.substr(separator + kSeparator.size()), algorithm)) {
      fail(ExitCode::kBadData, "matrix algorithms, line {}: '{}' is not 'product = algorithm time'",
           line_number, printable(line));
    }
    read[std::string(line.substr(0, separator))] = algorithm;
  }
  const std::lock_guard lock(mutex_);
  for (const auto& [key, algorithm] : read) table_[key] = algorithm;
}

MatrixAlgorithms& matrix_algorithms() {
  static MatrixAlgorithms only;
  return only;
}

}  // namespace ingot
