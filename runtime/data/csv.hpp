// CSV as RFC 4180 has it: cells between delimiters, quoted cells with doubled quotes and line
// breaks inside, lines that end with LF or CRLF. Blank lines and a byte order mark are skipped.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/data/file_bytes.hpp"

namespace ingot {

class CsvReader {
 public:
  /// The file outlives the reader.
  CsvReader(const FileBytes& file, char delimiter);

  /// Reads the next row; false at the end. The cells hold until the next call. Error(kBadData)
  /// names the line of a quote that is not closed or is followed by text.
  bool next(std::vector<std::string_view>& cells);
  /// Line, counted from 1, on which the last row began.
  std::int64_t line() const { return row_line_; }

 private:
  std::string_view quoted_cell();

  const FileBytes& file_;
  std::string_view rest_;
  char delimiter_;
  std::int64_t next_line_ = 1;
  std::int64_t row_line_ = 0;
  // Cells whose doubled quotes had to be undone; a deque, so that growing moves none of them.
  std::deque<std::string> unquoted_;
  std::size_t unquoted_used_ = 0;
};

}  // namespace ingot
