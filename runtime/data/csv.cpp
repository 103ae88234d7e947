#include "runtime/data/csv.hpp"

#include <algorithm>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

/// Cells in one row; more are a sign of a foreign file.
constexpr std::size_t kMaxCells = 100000;

}  // namespace

CsvReader::CsvReader(const FileBytes& file, char delimiter)
    : file_(file), rest_(file.text()), delimiter_(delimiter) {
  if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
}

bool CsvReader::next(std::vector<std::string_view>& cells) {
  cells.clear();
  unquoted_used_ = 0;
  while (rest_.starts_with('\n') || rest_.starts_with("\r\n")) {
    rest_.remove_prefix(rest_[0] == '\r' ? 2 : 1);
    ++next_line_;
  }
  if (rest_.empty()) return false;
  row_line_ = next_line_;
  while (true) {
    if (cells.size() == kMaxCells) {
      fail(ExitCode::kBadData,
           "{}:{}: more than {} cells in a row; is this CSV with delimiter '{}'?", file_.path,
           row_line_, kMaxCells, delimiter_);
    }
    if (rest_.starts_with('"')) {
      cells.push_back(quoted_cell());
    } else {
      std::size_t end = 0;
      while (end < rest_.size() && rest_[end] != delimiter_ && rest_[end] != '\n') ++end;
      std::string_view cell = rest_.substr(0, end);
      rest_.remove_prefix(end);
      if (!rest_.starts_with(delimiter_) && cell.ends_with('\r')) cell.remove_suffix(1);
      cells.push_back(cell);
    }
    if (rest_.starts_with(delimiter_)) {
      rest_.remove_prefix(1);
      continue;
    }
    if (rest_.starts_with('\r')) rest_.remove_prefix(1);
    if (rest_.starts_with('\n')) rest_.remove_prefix(1);
    ++next_line_;
    return true;
  }
}

std::string_view CsvReader::quoted_cell() {
  const std::int64_t first_line = next_line_;
  std::string_view inside = rest_.substr(1);
  std::size_t end = 0;
  bool doubled = false;
  while (true) {
    end = inside.find('"', end);
    if (end == std::string_view::npos) {
      fail(ExitCode::kBadData, "{}:{}: a quoted cell starts here and is never closed", file_.path,
           first_line);
    }
    if (end + 1 >= inside.size() || inside[end + 1] != '"') break;
    doubled = true;
    end += 2;
  }
  rest_ = inside.substr(end + 1);
  inside = inside.substr(0, end);
  next_line_ += std::ranges::count(inside, '\n');
  if (!rest_.empty() && rest_[0] != delimiter_ && rest_[0] != '\n' && !rest_.starts_with("\r\n") &&
      rest_ != "\r") {
    fail(ExitCode::kBadData, "{}:{}: text after the closing quote of a cell, expected '{}'",
         file_.path, next_line_, delimiter_);
  }
  if (!doubled) return inside;
  if (unquoted_used_ == unquoted_.size()) unquoted_.emplace_back();
  std::string& text = unquoted_[unquoted_used_++];
  text.clear();
  for (std::size_t i = 0; i < inside.size(); ++i) {
    text.push_back(inside[i]);
    if (inside[i] == '"') ++i;
  }
  return text;
}

}  // namespace ingot
