// CSV to a table data set in three passes over the mapped files: kinds of columns and the classes;
// means, deviations and categories of the training rows; the rows themselves.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "ops/base/error.hpp"
#include "runtime/data/csv.hpp"
#include "runtime/data/import_common.hpp"
#include "runtime/data/table_dataset.hpp"

namespace ingot {
namespace {

constexpr std::size_t kMaxClasses = 1000;

enum class Role : std::uint8_t { kUndecided, kNumeric, kCategory, kLabel, kIgnored };

struct Column {
  std::string name;
  Role role = Role::kUndecided;
  // Of the training rows.
  std::int64_t count = 0;
  double mean = 0;
  double square_sum = 0;  // of differences from the mean
  std::map<std::string, std::int32_t, std::less<>> ids;
};

std::string_view trimmed(std::string_view cell) {
  const std::size_t begin = cell.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return cell.substr(begin, cell.find_last_not_of(" \t") - begin + 1);
}

/// What tables write where a number is missing. Only the empty cell is a missing category: NA may
/// be a country.
bool is_missing_number(std::string_view cell) {
  static constexpr std::array<std::string_view, 9> kWords = {"",     "NA",   "N/A",  "NaN", "nan",
                                                             "null", "NULL", "None", "?"};
  return std::ranges::find(kWords, cell) != kWords.end();
}

std::optional<double> number_of(std::string_view cell) {
  if (cell.starts_with('+')) cell.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size()) return std::nullopt;
  // Infinity, and what float32 cannot hold, is no number to compute with.
  if (!(std::abs(value) <= std::numeric_limits<float>::max())) return std::nullopt;
  return value;
}

class CsvImport {
 public:
  CsvImport(const ImportInputs& inputs, const ImportOptions& options)
      : inputs_(inputs), options_(options) {
    read_header();
    decide_columns();
  }

  ImportReport write(const std::string& out) {
    const ValidationSplit split(options_, rows_);
    measure(split);
    const TableHeader header = make_header();
    TableRows train;
    TableRows validation;
    for_each_row([&](std::int64_t row, const auto& cells, const auto& where) {
      append(cells, where, split.contains(row) ? validation : train);
    });
    ImportReport report;
    if (!validation.labels.empty()) {
      write_table_dataset(validation_path(out), header, validation);
      report.validation = {validation_path(out), std::ssize(validation.labels), 0};
    } else {
      remove_stale_validation(out);
    }
    write_table_dataset(out, header, train);
    report.train = {out, std::ssize(train.labels), 0};
    return report;
  }

 private:
  /// "file:line", made only for messages.
  struct Where {
    const FileBytes& file;
    std::int64_t line;
    std::string text() const { return fmt::format("{}:{}", file.path, line); }
  };

  void read_header() {
    std::vector<std::string_view> cells;
    for (const FileBytes& file : inputs_.files) {
      CsvReader reader(file, options_.delimiter);
      if (!reader.next(cells)) fail(ExitCode::kBadData, "{}: no header row", file.path);
      if (&file == &inputs_.files.front()) {
        for (const auto cell : cells) columns_.emplace_back().name = trimmed(cell);
        continue;
      }
      const bool equal = std::ranges::equal(
          cells, columns_, [](auto cell, const Column& c) { return trimmed(cell) == c.name; });
      if (!equal) {
        fail(ExitCode::kBadData, "{}: its header differs from that of {}", file.path,
             inputs_.files.front().path);
      }
    }
    std::set<std::string> names;
    for (const Column& column : columns_) {
      if (!names.insert(column.name).second) {
        fail(ExitCode::kBadData, "{}:1: two columns are named \"{}\"", inputs_.files.front().path,
             column.name);
      }
    }
    if (options_.label.empty()) {
      fail(ExitCode::kUsage, "CSV needs the name of its label column; there are: {}", all_names());
    }
    assign({options_.label}, Role::kLabel);
    assign(options_.categorical, Role::kCategory);
    assign(options_.numeric, Role::kNumeric);
    assign(options_.ignored, Role::kIgnored);
  }

  std::string all_names() const {
    std::string names;
    for (const Column& column : columns_) names += (names.empty() ? "" : ", ") + column.name;
    return names;
  }

  void assign(const std::vector<std::string>& names, Role role) {
    for (const std::string& name : names) {
      const auto column = std::ranges::find(columns_, name, &Column::name);
      if (column == columns_.end()) {
        fail(ExitCode::kBadData, "{}: has no column \"{}\"; there are: {}",
             inputs_.files.front().path, name, all_names());
      }
      if (column->role != Role::kUndecided) {
        fail(ExitCode::kUsage, "column \"{}\" is given two roles", name);
      }
      column->role = role;
    }
  }

  template <typename Use>
  void for_each_row(Use use) const {
    std::vector<std::string_view> cells;
    std::int64_t row = 0;
    for (const FileBytes& file : inputs_.files) {
      CsvReader reader(file, options_.delimiter);
      reader.next(cells);  // the header
      while (reader.next(cells)) {
        const Where where{file, reader.line()};
        if (cells.size() != columns_.size()) {
          fail(ExitCode::kBadData, "{}: {} cells, expected {} as in the header", where.text(),
               cells.size(), columns_.size());
        }
        for (auto& cell : cells) cell = trimmed(cell);
        use(row++, cells, where);
      }
    }
  }

  void decide_columns() {
    std::vector<std::uint8_t> textual(columns_.size(), 0);
    std::vector<std::uint8_t> valued(columns_.size(), 0);
    std::set<std::string, std::less<>> labels;
    for_each_row([&](std::int64_t row, const auto& cells, const auto& where) {
      rows_ = row + 1;
      for (std::size_t c = 0; c < columns_.size(); ++c) {
        if (columns_[c].role == Role::kLabel) {
          if (cells[c].empty()) {
            fail(ExitCode::kBadData, "{}: the label \"{}\" is missing; remove the row",
                 where.text(), columns_[c].name);
          }
          if (!labels.contains(cells[c])) labels.emplace(cells[c]);
          if (labels.size() > kMaxClasses) {
            fail(ExitCode::kBadData,
                 "{}: more than {} different labels in \"{}\", expected classes", where.text(),
                 kMaxClasses, columns_[c].name);
          }
        } else if (columns_[c].role == Role::kUndecided && !is_missing_number(cells[c])) {
          valued[c] = 1;
          if (textual[c] == 0 && !number_of(cells[c])) textual[c] = 1;
        }
      }
    });
    if (rows_ == 0) fail(ExitCode::kBadData, "{}: no rows below the header", inputs_.source);
    if (labels.size() < 2) {
      fail(ExitCode::kBadData, "{}: every row has the label \"{}\", expected at least 2 classes",
           inputs_.source, *labels.begin());
    }
    classes_.assign(labels.begin(), labels.end());
    // 2 before 10 where all classes are numbers.
    if (std::ranges::all_of(classes_,
                            [](const auto& name) { return number_of(name).has_value(); })) {
      std::ranges::stable_sort(classes_, {}, [](const auto& name) { return *number_of(name); });
    }
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      if (columns_[c].role != Role::kUndecided) continue;
      columns_[c].role = valued[c] == 0    ? Role::kIgnored  // nothing in it
                         : textual[c] != 0 ? Role::kCategory
                                           : Role::kNumeric;
    }
    const bool any_input = std::ranges::any_of(columns_, [](const Column& column) {
      return column.role == Role::kNumeric || column.role == Role::kCategory;
    });
    if (!any_input) fail(ExitCode::kBadData, "{}: no column beside the label", inputs_.source);
  }

  /// The number in a cell; nothing where it is missing and that is allowed.
  std::optional<double> value(const Column& column, std::string_view cell,
                              const Where& where) const {
    if (const auto number = number_of(cell)) return number;
    if (!is_missing_number(cell)) {
      fail(ExitCode::kBadData, "{}: \"{}\" in the numeric column \"{}\", expected a finite number",
           where.text(), cell, column.name);
    }
    refuse_missing(column, where);
    return std::nullopt;
  }

  void refuse_missing(const Column& column, const Where& where) const {
    if (options_.missing == MissingValues::kFill) return;
    fail(ExitCode::kBadData,
         "{}: no value in column \"{}\"; remove the row or column, or import with missing values "
         "filled",
         where.text(), column.name);
  }

  void measure(const ValidationSplit& split) {
    for_each_row([&](std::int64_t row, const auto& cells, const auto& where) {
      if (split.contains(row)) return;
      for (std::size_t c = 0; c < columns_.size(); ++c) {
        Column& column = columns_[c];
        if (column.role == Role::kCategory && !cells[c].empty()) {
          if (column.ids.find(cells[c]) == column.ids.end()) {
            column.ids.emplace(cells[c], 0);
          }
        } else if (column.role == Role::kNumeric) {
          // Welford's recurrence: sums of squares would cancel for large means.
          if (const auto number = value(column, cells[c], where)) {
            const double difference = *number - column.mean;
            column.mean += difference / static_cast<double>(++column.count);
            column.square_sum += difference * (*number - column.mean);
          }
        }
      }
    });
    for (Column& column : columns_) {
      std::int32_t id = 0;
      for (auto& entry : column.ids) entry.second = ++id;
    }
  }

  TableHeader make_header() const {
    TableHeader header;
    header.label = options_.label;
    header.classes = classes_;
    header.source = inputs_.source;
    header.source_checksum = inputs_.checksum;
    for (const Column& column : columns_) {
      if (column.role == Role::kNumeric) {
        header.features.push_back(column.name);
        header.mean.push_back(static_cast<float>(column.mean));
        const double variance =
            column.count > 0 ? column.square_sum / static_cast<double>(column.count) : 0;
        const auto deviation = static_cast<float>(std::sqrt(variance));
        header.deviation.push_back(std::isfinite(deviation) && deviation > 0 ? deviation : 1.0F);
      } else if (column.role == Role::kCategory) {
        CategoryColumn category{column.name, {}};
        for (const auto& entry : column.ids) category.values.push_back(entry.first);
        header.categories.push_back(std::move(category));
      }
    }
    return header;
  }

  void append(const std::vector<std::string_view>& cells, const Where& where,
              TableRows& rows) const {
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const Column& column = columns_[c];
      if (column.role == Role::kNumeric) {
        rows.features.push_back(
            static_cast<float>(value(column, cells[c], where).value_or(column.mean)));
      } else if (column.role == Role::kCategory) {
        if (cells[c].empty()) refuse_missing(column, where);
        const auto id = column.ids.find(cells[c]);
        rows.categories.push_back(id == column.ids.end() ? 0 : id->second);
      } else if (column.role == Role::kLabel) {
        const auto found = std::ranges::find(classes_, cells[c]);
        rows.labels.push_back(static_cast<std::int32_t>(found - classes_.begin()));
      }
    }
  }

  const ImportInputs& inputs_;
  const ImportOptions& options_;
  std::vector<Column> columns_;
  std::vector<std::string> classes_;
  std::int64_t rows_ = 0;
};

}  // namespace

ImportReport import_csv(const std::vector<std::string>& files, const std::string& out,
                        const ImportOptions& options) {
  const ImportInputs inputs = open_inputs(files);
  return CsvImport(inputs, options).write(out);
}

}  // namespace ingot
