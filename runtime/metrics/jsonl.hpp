// metrics.jsonl: one JSON object per line, appended while a run goes on. Numbers are printed so
// that they read back to the same bits. A full disk must not end a training run, so failed writes
// are reported once and training goes on.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace ingot {

/// One row, put together field by field.
class MetricsRow {
 public:
  explicit MetricsRow(std::int64_t step) { add("step", step); }

  MetricsRow& add(std::string_view name, std::int64_t value);
  /// NaN and infinities, which JSON does not have, become null.
  MetricsRow& add(std::string_view name, double value);
  MetricsRow& add(std::string_view name, bool value);
  MetricsRow& add(std::string_view name, std::string_view value);
  MetricsRow& add(std::string_view name, const char* value) {
    return add(name, std::string_view(value));
  }

  /// The JSON object, without a newline.
  std::string text() const { return fields_ + "}"; }

 private:
  MetricsRow& add_text(std::string_view name, std::string_view json);
  std::string fields_ = "{";
};

class MetricsFile {
 public:
  struct Options {
    /// Rows of later steps, and broken lines, are dropped from the file; empty: the run is new and
    /// so is the file.
    std::optional<std::int64_t> resumed_step = {};
    bool owner_only = false;  ///< mode 0600
    /// Gets the one message about a failed write.
    std::function<void(const std::string&)> warn = {};
  };

  /// Opens `path` for appending. Fails with kCannotWrite where it cannot be created: before a run
  /// starts there is still somebody to tell.
  MetricsFile(std::string path, Options options);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  /// Appends a row; every row is one write to the operating system.
  void write(const MetricsRow& row);

 private:
  std::string path_;
  Options options_;
  int file_ = -1;
  bool broken_line_ = false;  ///< the last write left a part of a line
  bool warned_ = false;
};

}  // namespace ingot
