// Groups the samples of a scatter by the table row that they belong to: a counting sort, stable, so
// that a row's samples come in the order in which they stand. With that, each row of a gradient is
// the sum of its samples in one fixed order, and rows can be shared among threads freely.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "ops/base/error.hpp"

namespace ingot::cpu {

/// Samples by table row, in memory of the caller's: row r has
/// samples[starts[r]] ... samples[starts[r + 1] - 1].
struct IndexGroups {
  std::int32_t* starts;   ///< [rows + 1]
  std::int32_t* samples;  ///< [count]
};

inline std::int64_t index_groups_bytes(std::int64_t rows, std::int64_t count) {
  return (rows + 1 + count) * static_cast<std::int64_t>(sizeof(std::int32_t));
}

/// Throws Error(kBadData) naming `op` where an index lies outside [0, rows).
inline void expect_index(std::string_view op, std::int64_t index, std::int64_t at,
                         std::int64_t rows) {
  if (index >= 0 && index < rows) return;
  fail(ExitCode::kBadData,
       "{}: index {} at element {} of the batch lies outside the table of {} rows; check that the "
       "data set was made for this model (vocabulary, categories, context)",
       op, index, at, rows);
}

/// Sorts `count` indices into `workspace` of index_groups_bytes(). Runs on one thread.
inline IndexGroups group_indices(std::string_view op, const std::int32_t* indices,
                                 std::int64_t count, std::int64_t rows,
                                 std::span<std::byte> workspace) {
  IndexGroups groups{};
  groups.starts = reinterpret_cast<std::int32_t*>(workspace.data());
  groups.samples = groups.starts + rows + 1;
  std::int32_t* starts = groups.starts;
  std::fill_n(starts, rows + 1, 0);
  for (std::int64_t i = 0; i < count; ++i) {
    expect_index(op, indices[i], i, rows);
    ++starts[indices[i]];
  }
  std::int32_t total = 0;
  for (std::int64_t row = 0; row <= rows; ++row) {
    total += starts[row];
    starts[row] = total;
  }
  // Each start stands at the end of its row here; filling from the back brings it to the front.
  for (std::int64_t i = count - 1; i >= 0; --i) {
    groups.samples[--starts[indices[i]]] = static_cast<std::int32_t>(i);
  }
  return groups;
}

/// Table rows of one piece of work: about 64 pieces.
inline std::int64_t table_rows_of_piece(std::int64_t rows) {
  return std::max<std::int64_t>(1, (rows + 63) / 64);
}

}  // namespace ingot::cpu
