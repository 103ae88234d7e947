// Plain aligned tables for terminals and logs.
#include "runtime/metrics/table.hpp"

#include <utf8proc.h>

#include <algorithm>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

struct Glyph {
  std::size_t bytes = 1;
  std::int64_t columns = 1;
};

Glyph glyph_at(std::string_view text, std::size_t position) {
  utf8proc_int32_t code = 0;
  const auto available =
      static_cast<utf8proc_ssize_t>(std::min<std::size_t>(4, text.size() - position));
  const utf8proc_ssize_t length = utf8proc_iterate(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + position, available, &code);
  if (length <= 0) return {};
  return {static_cast<std::size_t>(length), utf8proc_charwidth(code)};
}

}  // namespace

std::int64_t display_width(std::string_view text) {
  std::int64_t columns = 0;
  for (std::size_t position = 0; position < text.size();) {
    const Glyph glyph = glyph_at(text, position);
    columns += glyph.columns;
    position += glyph.bytes;
  }
  return columns;
}

std::string_view fit_width(std::string_view text, std::int64_t columns) {
  for (std::size_t position = 0; position < text.size();) {
    const Glyph glyph = glyph_at(text, position);
    columns -= glyph.columns;
    if (columns < 0) return text.substr(0, position);
    position += glyph.bytes;
  }
  return text;
}

void Table::add(std::vector<std::string> cells) {
  ensure(!cells.empty() && cells.size() == columns_.size(),
         "one cell for each column of the table");
  rows_.push_back(std::move(cells));
}

std::string Table::render() const {
  std::vector<std::int64_t> widths;
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    std::int64_t width = display_width(columns_[column].title);
    for (const auto& row : rows_) {
      if (!row.empty()) width = std::max(width, display_width(row[column]));
    }
    widths.push_back(width);
  }
  std::string text;
  const auto spaces = [&](std::int64_t count) {
    text.append(static_cast<std::size_t>(count), ' ');
  };
  const auto line = [&](const auto& cell_of) {
    for (std::size_t column = 0; column < columns_.size(); ++column) {
      const std::string& cell = cell_of(column);
      const std::int64_t missing = widths[column] - display_width(cell);
      if (column > 0) spaces(2);
      if (columns_[column].right) spaces(missing);
      text += cell;
      // No spaces at the end of lines.
      if (!columns_[column].right && column + 1 < columns_.size()) spaces(missing);
    }
    text += '\n';
  };
  const auto rule = [&] {
    std::int64_t total = 0;
    for (const std::int64_t width : widths) total += width;
    total += 2 * (static_cast<std::int64_t>(widths.size()) - 1);
    text.append(static_cast<std::size_t>(std::max<std::int64_t>(total, 0)), '-');
    text += '\n';
  };
  line([&](std::size_t column) -> const std::string& { return columns_[column].title; });
  rule();
  for (const auto& row : rows_) {
    if (row.empty()) {
      rule();
    } else {
      line([&](std::size_t column) -> const std::string& { return row[column]; });
    }
  }
  return text;
}

std::string with_separators(std::int64_t number) {
  std::string digits = fmt::format("{}", number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (std::size_t place = digits.size(); place > first + 3;) {
    place -= 3;
    digits.insert(place, ",");
  }
  return digits;
}

}  // namespace ingot
