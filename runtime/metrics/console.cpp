// The progress line, live or in a log.
#include "runtime/metrics/console.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>

#include "runtime/metrics/table.hpp"

namespace ingot {
namespace {

// The weight of a new step in the mean that the estimate uses: about the last twenty steps count.
constexpr double kNewStepWeight = 0.1;
constexpr std::int64_t kFirstSteps = 3;
// Back to the first column, and erase to the end of the line.
constexpr std::string_view kClearLine = "\r\x1b[K";

/// 1234567 as "1.23M".
std::string short_number(double number) {
  if (!std::isfinite(number)) return "-";
  if (number >= 1e9) return fmt::format("{:.2f}G", number / 1e9);
  if (number >= 1e6) return fmt::format("{:.2f}M", number / 1e6);
  if (number >= 1e4) return fmt::format("{:.1f}k", number / 1e3);
  return fmt::format("{:.0f}", number);
}

}  // namespace

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e10) return "-";
  const auto total = static_cast<std::int64_t>(std::llround(seconds));
  const std::int64_t minutes = total / 60;
  const std::int64_t hours = minutes / 60;
  if (hours >= 48) return fmt::format("{}d{:02}h", hours / 24, hours % 24);
  if (hours > 0) return fmt::format("{}h{:02}m", hours, minutes % 60);
  if (minutes > 0) return fmt::format("{}m{:02}s", minutes, total % 60);
  return fmt::format("{}s", total);
}

std::string progress_line(const StepReport& report) {
  const std::string total = report.total > 0 ? fmt::format("/{}", report.total) : "";
  const std::string peak =
      report.peak_fraction ? fmt::format("{:.1f}%", 100 * *report.peak_fraction) : "-";
  const std::string left = report.seconds_left ? duration_text(*report.seconds_left) : "-";
  return fmt::format(
      "step {}{}  loss {:.4f}  norm {:.3g}  lr {:.2e}  {:.1f} ms (data {:.1f}, comm {:.1f})  "
      "{} {}/s  peak {}  ETA {}{}",
      report.step, total, report.loss, report.gradient_norm, report.learning_rate,
      1e3 * report.step_seconds, 1e3 * report.data_seconds,
      1e3 * report.exposed_communication_seconds, short_number(report.items_per_second),
      report.item, peak, left, report.skipped ? "  SKIPPED: not finite" : "");
}

namespace {

/// Columns of the terminal behind a descriptor; 0 where it is none or its size is unknown.
std::int64_t terminal_columns(int descriptor) {
  winsize size{};
  if (::isatty(descriptor) != 1 || ::ioctl(descriptor, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

/// Open MPI puts a pseudo terminal without a size between a rank and mpirun, whatever mpirun itself
/// writes to; what a person sees is the standard output of mpirun, the parent of its node's ranks.
std::int64_t parent_terminal_columns() {
  const std::string path = "/proc/" + std::to_string(::getppid()) + "/fd/1";
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return 0;
  const std::int64_t columns = terminal_columns(descriptor);
  ::close(descriptor);
  return columns;
}

}  // namespace

TerminalInfo terminal_of(std::FILE* stream) {
  TerminalInfo info;
  const int descriptor = ::fileno(stream);
  const char* kind = std::getenv("TERM");
  const bool rewrites = kind != nullptr && std::string_view(kind) != "dumb";
  if (descriptor < 0 || !rewrites || ::isatty(descriptor) != 1) return info;
  std::int64_t columns = terminal_columns(descriptor);
  if (columns == 0) columns = parent_terminal_columns();
  info.live = columns > 0;
  if (info.live) info.columns = columns;
  return info;
}

Console::Console(std::FILE* stream, std::int64_t every) {
  options_.terminal = terminal_of(stream);
  options_.every = every;
  options_.now = [] {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(since).count();
  };
  options_.write = [stream](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stream);
    std::fflush(stream);
  };
}

StepReport Console::with_estimate(const StepReport& report) {
  const double weight = mean_step_seconds_ > 0 ? kNewStepWeight : 1;
  mean_step_seconds_ += weight * (report.step_seconds - mean_step_seconds_);
  StepReport complete = report;
  if (!report.seconds_left && report.total >= report.step && mean_step_seconds_ > 0) {
    complete.seconds_left = mean_step_seconds_ * static_cast<double>(report.total - report.step);
  }
  return complete;
}

void Console::step(const StepReport& report) {
  const std::string line = progress_line(with_estimate(report));
  if (!options_.terminal.live) {
    const bool shown = ++seen_ <= kFirstSteps || report.step == report.total || report.skipped ||
                       report.step % std::max<std::int64_t>(options_.every, 1) == 0;
    if (shown) options_.write(line + "\n");
    return;
  }
  // A skipped step is worth keeping; the next line would overwrite it.
  if (report.skipped) print(line);
  live_line_ = line;
  const double now = options_.now();
  if (!last_draw_ || now - *last_draw_ >= options_.redraw_seconds || report.step == report.total) {
    last_draw_ = now;
    draw();
  }
}

void Console::draw() {
  // One column stays free: a full line would wrap and could not be rewritten.
  const std::string_view visible = fit_width(live_line_, options_.terminal.columns - 1);
  options_.write(std::string(kClearLine).append(visible));
  drawn_ = true;
}

void Console::print(std::string_view text) {
  std::string lines = drawn_ ? std::string(kClearLine) : std::string();
  lines += text;
  if (!lines.ends_with('\n')) lines += '\n';
  options_.write(lines);
  if (drawn_) draw();
}

void Console::finish() {
  if (live_line_.empty()) return;
  draw();
  options_.write("\n");
  live_line_.clear();
  drawn_ = false;
}

}  // namespace ingot
