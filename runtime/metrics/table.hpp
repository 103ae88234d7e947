// Plain aligned tables for terminals and logs. Widths are counted in terminal columns, so that
// names in any script line up.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

/// Columns that `text` takes on a terminal; bytes that are not UTF-8 take one each.
std::int64_t display_width(std::string_view text);

/// The longest beginning of `text` that takes at most `columns` columns.
std::string_view fit_width(std::string_view text, std::int64_t columns);

struct TableColumn {
  std::string title;
  bool right = false;  ///< aligned to the right, as numbers are
};

class Table {
 public:
  explicit Table(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}

  /// Adds a row with one cell per column.
  void add(std::vector<std::string> cells);
  /// Adds a line across the table, as above totals.
  void add_rule() { rows_.emplace_back(); }

  /// The table with its titles, a rule below them, and a newline after every line.
  std::string render() const;

 private:
  std::vector<TableColumn> columns_;
  std::vector<std::vector<std::string>> rows_;  ///< empty: a rule
};

/// 1234567 as "1,234,567".
std::string with_separators(std::int64_t number);

}  // namespace ingot
