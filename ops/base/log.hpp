// What a rank tells people: information on the console from rank 0 alone, warnings and errors of
// any rank on stderr with a prefix that names it, and everything in the rank's own log file.
// Logging never ends a run: a closed terminal or a full disk loses lines, not work.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "ops/base/file.hpp"

namespace ingot {

enum class LogLevel : std::uint8_t { kInfo, kWarning, kError };

/// Made once per process and passed by reference; may be used from several threads at once.
class Logger {
 public:
  /// Writes to stdout and stderr, or to other descriptors, which stay the caller's.
  explicit Logger(int rank, int console = 1, int errors = 2);
  ~Logger();
  Logger(Logger&&) noexcept;
  Logger& operator=(Logger&&) noexcept;

  /// From now on every message also goes to `folder`/rank-00003.log, appended, with time and level.
  /// The folder is created. Throws Error(kCannotWrite) where the file cannot be opened.
  void open_file(const std::filesystem::path& folder, FileAccess access = FileAccess::kShared);

  template <typename... Arguments>
  void info(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    write(LogLevel::kInfo, fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  template <typename... Arguments>
  void warning(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    write(LogLevel::kWarning, fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  template <typename... Arguments>
  void error(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    write(LogLevel::kError, fmt::format(format, std::forward<Arguments>(arguments)...));
  }

  /// Writes one message; the line end is added.
  void write(LogLevel level, std::string_view message);
  /// Writes one message to the rank's own log file and nowhere else.
  void note(std::string_view message);
  /// Writes raw text to the console of rank 0 and nowhere else: progress lines that are redrawn.
  void console(std::string_view text);

  int rank() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes all bytes to a descriptor that may be a pipe, without being ended by SIGPIPE. Returns 0
/// or the errno of the first failure.
int write_without_signal(int descriptor, std::string_view text);

/// Name of this machine, "unknown" where the system does not tell.
std::string host_name();

}  // namespace ingot
