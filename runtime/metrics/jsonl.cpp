// metrics.jsonl: writing rows, and cutting the file back when a run resumes.
#include "runtime/metrics/jsonl.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

using nlohmann::json;

std::string json_string(std::string_view text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Writes all of `text`; the number of bytes that were written before an error, which is in errno.
std::size_t write_all(int file, std::string_view text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = ::write(file, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    done += static_cast<std::size_t>(written);
  }
  return done;
}

/// Whether a line belongs to the run up to `last_step`.
bool keeps(const std::string& line, std::int64_t last_step) {
  const json row = json::parse(line, nullptr, false);
  if (!row.is_object()) return false;
  const auto step = row.find("step");
  return step == row.end() || !step->is_number() || step->get<double>() <= double(last_step);
}

/// Puts the rows up to `last_step` in the place of the file, by rename.
void cut_back(const std::string& path, std::int64_t last_step, mode_t mode) {
  std::ifstream old(path, std::ios::binary);
  if (!old) return;  // nothing was written before
  const std::string temporary = path + ".tmp";
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  bool complete = file >= 0;
  for (std::string line; complete && std::getline(old, line);) {
    if (!keeps(line, last_step)) continue;
    line += '\n';
    complete = write_all(file, line) == line.size();
  }
  if (complete) complete = ::fsync(file) == 0;
  const int reason = errno;
  if (file >= 0) ::close(file);
  if (complete && std::rename(temporary.c_str(), path.c_str()) == 0) return;
  const int final_reason = complete ? errno : reason;
  ::unlink(temporary.c_str());
  fail(ExitCode::kCannotWrite, "cannot rewrite {} for the resumed run: {}", path,
       std::strerror(final_reason));
}

}  // namespace

MetricsRow& MetricsRow::add_text(std::string_view name, std::string_view value) {
  if (fields_.size() > 1) fields_ += ", ";
  fields_ += json_string(name) + ": ";
  fields_ += value;
  return *this;
}

MetricsRow& MetricsRow::add(std::string_view name, std::int64_t value) {
  return add_text(name, fmt::format("{}", value));
}

MetricsRow& MetricsRow::add(std::string_view name, double value) {
  if (!std::isfinite(value)) return add_text(name, "null");
  // The shortest digits that read back to the same bits; with a point, so that readers see a float.
  std::string digits = fmt::format("{}", value);
  if (digits.find_first_of(".e") == std::string::npos) digits += ".0";
  return add_text(name, digits);
}

MetricsRow& MetricsRow::add(std::string_view name, bool value) {
  return add_text(name, value ? "true" : "false");
}

MetricsRow& MetricsRow::add(std::string_view name, std::string_view value) {
  return add_text(name, json_string(value));
}

MetricsFile::MetricsFile(std::string path, Options options)
    : path_(std::move(path)), options_(std::move(options)) {
  const mode_t mode = options_.owner_only ? 0600 : 0666;
  if (options_.resumed_step) cut_back(path_, *options_.resumed_step, mode);
  const int fresh = options_.resumed_step ? 0 : O_TRUNC;
  file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | fresh, mode);
  if (file_ < 0) {
    fail(ExitCode::kCannotWrite, "cannot open {} for writing: {}", path_, std::strerror(errno));
  }
}

MetricsFile::~MetricsFile() {
  ::close(file_);
}

void MetricsFile::write(const MetricsRow& row) {
  // After a part of a line, the new row begins on a line of its own.
  const std::string line = (broken_line_ ? "\n" : "") + row.text() + "\n";
  const std::size_t written = write_all(file_, line);
  if (written == line.size()) {
    broken_line_ = false;
    return;
  }
  const int reason = errno;
  if (written > 0) broken_line_ = true;
  if (!warned_ && options_.warn) {
    options_.warn(fmt::format("cannot write {}: {}; training goes on, rows are missing", path_,
                              std::strerror(reason)));
  }
  warned_ = true;
}

}  // namespace ingot
