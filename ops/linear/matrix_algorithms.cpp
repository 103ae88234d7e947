#include "ops/linear/matrix_algorithms.hpp"

#include <charconv>
#include <cmath>

#include "ops/base/checksum.hpp"
#include "ops/base/error.hpp"
#include "ops/base/text.hpp"

namespace ingot {

namespace {

constexpr std::string_view kSeparator = " = ";
constexpr std::size_t kDigits = 16;  // of one word
constexpr std::size_t kAllDigits = kDigits * std::tuple_size_v<decltype(MatrixAlgorithm::bytes)>;

/// Reads exactly `digits` hexadecimal digits.
bool read_word(std::string_view digits, std::uint64_t& word) {
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, word, 16);
  return error == std::errc() && stop == end;
}

/// The algorithm behind the separator of one line.
bool read_algorithm(std::string_view text, MatrixAlgorithm& algorithm) {
  if (text.size() < kAllDigits + 2 || text[kAllDigits] != ' ') return false;
  const auto found = algorithm_of_digits(text.substr(0, kAllDigits));
  if (!found) return false;
  algorithm = *found;
  const std::string_view seconds = text.substr(kAllDigits + 1);
  const char* end = seconds.data() + seconds.size();
  const auto [stop, error] = std::from_chars(seconds.data(), end, algorithm.seconds);
  return error == std::errc() && stop == end && std::isfinite(algorithm.seconds) &&
         algorithm.seconds >= 0;
}

}  // namespace

std::string digits_of(const MatrixAlgorithm& algorithm) {
  std::string digits;
  for (const std::uint64_t word : algorithm.bytes) digits += fmt::format("{:016x}", word);
  return digits;
}

std::optional<MatrixAlgorithm> algorithm_of_digits(std::string_view digits) {
  if (digits.size() != kAllDigits) return std::nullopt;
  MatrixAlgorithm algorithm;
  for (std::size_t i = 0; i < algorithm.bytes.size(); ++i) {
    if (!read_word(digits.substr(i * kDigits, kDigits), algorithm.bytes[i])) return std::nullopt;
  }
  return algorithm;
}

AlgorithmChoice MatrixAlgorithms::choice() const {
  const std::lock_guard lock(mutex_);
  return choice_;
}

void MatrixAlgorithms::set_choice(AlgorithmChoice choice) {
  const std::lock_guard lock(mutex_);
  choice_ = choice;
}

std::optional<MatrixAlgorithm> MatrixAlgorithms::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = table_.find(key);
  if (found == table_.end()) return std::nullopt;
  used_.insert(key);
  return found->second;
}

MatrixAlgorithm MatrixAlgorithms::add(const std::string& key, const MatrixAlgorithm& algorithm) {
  const std::lock_guard lock(mutex_);
  used_.insert(key);
  return table_.emplace(key, algorithm).first->second;
}

MatrixAlgorithms::Table MatrixAlgorithms::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

MatrixAlgorithms::Table MatrixAlgorithms::used() const {
  const std::lock_guard lock(mutex_);
  Table result;
  for (const std::string& key : used_) result.emplace(key, table_.at(key));
  return result;
}

std::string MatrixAlgorithms::used_checksum() const {
  StreamingChecksum64 checksum;
  for (const auto& [key, algorithm] : used()) {
    checksum.add(key.c_str(), key.size() + 1);
    checksum.add(algorithm.bytes.data(), sizeof algorithm.bytes);
  }
  return checksum64_text(checksum.digest());
}

void MatrixAlgorithms::clear() {
  const std::lock_guard lock(mutex_);
  table_.clear();
  used_.clear();
}

std::string MatrixAlgorithms::export_text() const {
  std::string text;
  for (const auto& [key, algorithm] : table()) {
    text += key;
    text += kSeparator;
    text += fmt::format("{} {}\n", digits_of(algorithm), algorithm.seconds);
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

void MatrixAlgorithms::import_one(const std::string& key, const MatrixAlgorithm& algorithm) {
  const std::lock_guard lock(mutex_);
  table_[key] = algorithm;
}

MatrixAlgorithms& matrix_algorithms() {
  static MatrixAlgorithms only;
  return only;
}

}  // namespace ingot
