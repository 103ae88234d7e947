// The one exception type of ingot. An error carries the exit code that every rank ends with and a
// message that a user can act on: what was found and where, what was expected, and what to do.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace ingot {

/// Exit codes of the `ingot` command; equal on all surviving ranks of a job.
enum class ExitCode : int {
  kDone = 0,
  kUsage = 64,         ///< command line
  kBadData = 65,       ///< data sets, tokenizers and other input files
  kCheckpoint = 66,    ///< checkpoint missing or invalid
  kInternal = 70,      ///< a bug in ingot
  kGpu = 71,           ///< an error of a GPU, out of memory included
  kEnvironment = 72,   ///< the machine is refused, or has the wrong number of GPUs
  kCannotWrite = 73,   ///< disk full, no permission
  kDiverged = 74,      ///< replicas differ
  kTimeout = 75,       ///< a peer hung or disagreed inside a collective
  kNonFinite = 76,     ///< the loss or gradient is not finite
  kPreempted = 77,     ///< stopped by a signal after saving; start again to go on
  kConfiguration = 78  ///< the YAML job description
};

/// What is thrown for every failure, a user's mistake or ours.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// Throws Error with a message formatted as by fmt::format.
template <typename... Arguments>
[[noreturn]] void fail(ExitCode code, fmt::format_string<Arguments...> format,
                       Arguments&&... arguments) {
  throw Error(code, fmt::format(format, std::forward<Arguments>(arguments)...));
}

/// Checks an invariant of ingot itself; a violation is a bug and ends with kInternal, naming the
/// source line (by builtins that GCC and clang share: the fuzzers are built with clang 14, which
/// lacks std::source_location). What a user can cause is reported with fail() instead.
inline void ensure(bool holds, const char* expectation, const char* file = __builtin_FILE(),
                   int line = __builtin_LINE(), const char* function = __builtin_FUNCTION()) {
  if (!holds) {
    fail(ExitCode::kInternal, "{}:{}: internal error in {}: expected {}; please report this", file,
         line, function, expectation);
  }
}

}  // namespace ingot
