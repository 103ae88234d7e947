#include "ops/base/log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>

#include "ops/base/error.hpp"

namespace ingot {

struct Logger::State {
  int rank = 0;
  std::string prefix;  // "[rank 3 node7] "
  // Descriptors of the caller; -1 once their reader has gone.
  int console = -1;
  int errors = -1;
  FileDescriptor file;
  std::filesystem::path file_path;
  bool file_failed = false;
  std::mutex mutex;

  /// A sink whose reader has gone is given up: it will not come back. A full disk may.
  static void write_to(int& descriptor, std::string_view text) {
    if (descriptor < 0) return;
    const int error_number = write_without_signal(descriptor, text);
    if (error_number == EPIPE || error_number == EBADF) descriptor = -1;
  }
  void write_to_file(LogLevel level, std::string_view message);
};

namespace {

/// Keeps SIGPIPE from reaching this thread and takes back the one that its own write raised.
class SigpipeGuard {
 public:
  SigpipeGuard() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~SigpipeGuard() {
    if (raised_ && !was_pending_) {
      const timespec no_wait = {};
      while (sigtimedwait(&pipe_, nullptr, &no_wait) < 0 && errno == EINTR) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeGuard(const SigpipeGuard&) = delete;
  SigpipeGuard& operator=(const SigpipeGuard&) = delete;
  void raised() { raised_ = true; }

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool was_pending_ = false;
  bool raised_ = false;
};

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarning:
      return "WARN";
    case LogLevel::kError:
      return "ERROR";
  }
  return "";
}

/// UTC, so that the logs of a job's machines can be merged: "2026-03-01T12:34:56.789Z".
std::string timestamp() {
  timeval now = {};
  gettimeofday(&now, nullptr);
  tm parts = {};
  gmtime_r(&now.tv_sec, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     now.tv_usec / 1000);
}

}  // namespace

void Logger::State::write_to_file(LogLevel level, std::string_view message) {
  if (!file) return;
  const int error_number = write_without_signal(
      file.get(), fmt::format("{} {:<5} {}\n", timestamp(), level_name(level), message));
  if (error_number == 0) {
    file_failed = false;
  } else if (!file_failed) {
    // Said once per outage; the disk may have room again later.
    file_failed = true;
    write_to(errors, fmt::format("{}WARN: {}: cannot write: {}; log lines are being lost\n", prefix,
                                 file_path.string(), system_message(error_number)));
  }
}

int write_without_signal(int descriptor, std::string_view text) {
  // Bounded: a terminal that is stopped for good must not stop training with it.
  constexpr int kMostWaits = 10;
  constexpr int kWaitMilliseconds = 20;
  SigpipeGuard guard;
  int waits = 0;
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
      continue;
    }
    const int error_number = errno;
    if (error_number == EINTR) continue;
    if (error_number == EAGAIN && waits++ < kMostWaits) {
      pollfd ready = {descriptor, POLLOUT, 0};
      ::poll(&ready, 1, kWaitMilliseconds);
      continue;
    }
    if (error_number == EPIPE) guard.raised();
    return error_number;
  }
  return 0;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "unknown";
  return name.data();
}

Logger::Logger(int rank, int console, int errors) : state_(std::make_unique<State>()) {
  state_->rank = rank;
  state_->prefix = fmt::format("[rank {} {}] ", rank, host_name());
  state_->console = console;
  state_->errors = errors;
}
Logger::~Logger() = default;
Logger::Logger(Logger&&) noexcept = default;
Logger& Logger::operator=(Logger&&) noexcept = default;

int Logger::rank() const {
  return state_->rank;
}

void Logger::open_file(const std::filesystem::path& folder, FileAccess access) {
  create_folders(folder, access);
  const auto path = folder / fmt::format("rank-{:05}.log", state_->rank);
  const mode_t mode = access == FileAccess::kPrivate ? 0600 : 0666;
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, mode));
  if (!file) {
    fail(ExitCode::kCannotWrite, "{}: cannot open the log: {}", path.string(),
         system_message(errno));
  }
  const std::lock_guard lock(state_->mutex);
  state_->file = std::move(file);
  state_->file_path = path;
  state_->file_failed = false;
}

void Logger::write(LogLevel level, std::string_view message) {
  State& state = *state_;
  const std::lock_guard lock(state.mutex);
  if (level != LogLevel::kInfo) {
    State::write_to(state.errors,
                    fmt::format("{}{}: {}\n", state.prefix, level_name(level), message));
  } else if (state.rank == 0) {
    State::write_to(state.console, fmt::format("{}\n", message));
  }
  state.write_to_file(level, message);
}

void Logger::note(std::string_view message) {
  const std::lock_guard lock(state_->mutex);
  state_->write_to_file(LogLevel::kInfo, message);
}

void Logger::console(std::string_view text) {
  if (state_->rank != 0) return;
  const std::lock_guard lock(state_->mutex);
  State::write_to(state_->console, text);
}

}  // namespace ingot
