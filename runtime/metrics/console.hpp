// What a person sees of a run: on a terminal one live line that is rewritten, in a batch log a line
// per interval, the same fields in both.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace ingot {

/// The figures of one optimizer step.
struct StepReport {
  std::int64_t step = 0;
  std::int64_t total = 0;  ///< steps of the run; 0: not known
  double loss = 0;
  double gradient_norm = 0;
  double learning_rate = 0;
  double step_seconds = 0;
  double data_seconds = 0;                   ///< of them waiting for data
  double exposed_communication_seconds = 0;  ///< of them waiting for other ranks
  double items_per_second = 0;               ///< over all ranks
  const char* item = "tokens";               ///< or "rows"
  std::optional<double> peak_fraction;       ///< of the matrix peak; empty: the peak is not known
  std::optional<double> seconds_left;        ///< empty: estimated from the steps seen
  bool skipped = false;                      ///< the update was skipped as not finite
};

/// "step 120/1000  loss 2.3456  norm 0.98  lr 6.00e-04  51.2 ms (data 0.1, comm 2.3)  ..."
std::string progress_line(const StepReport& report);

/// 3725 as "1h02m", 95 as "1m35s", 7.2 as "7s".
std::string duration_text(double seconds);

/// Whether a stream is a terminal that can rewrite a line, and how wide it is.
struct TerminalInfo {
  bool live = false;
  std::int64_t columns = 80;
};
TerminalInfo terminal_of(std::FILE* stream);

class Console {
 public:
  struct Options {
    TerminalInfo terminal;
    std::int64_t every = 10;                      ///< steps between lines in a batch log
    double redraw_seconds = 0.1;                  ///< a live line is rewritten no more often
    std::function<double()> now;                  ///< seconds of a steady clock
    std::function<void(std::string_view)> write;  ///< puts text out at once
  };

  /// Writes to `stream`, which outlives the console.
  Console(std::FILE* stream, std::int64_t every);
  explicit Console(Options options) : options_(std::move(options)) {}

  /// Shows a step: live where the terminal can; in a log the first three steps, every
  /// `options.every`-th and the last, and every skipped one.
  void step(const StepReport& report);

  /// Prints lines that stay, such as an evaluation or a warning, above the live line.
  void print(std::string_view text);

  /// Leaves the last progress line standing.
  void finish();

 private:
  StepReport with_estimate(const StepReport& report);
  void draw();

  Options options_;
  std::int64_t seen_ = 0;         ///< steps; a resumed run begins anew
  double mean_step_seconds_ = 0;  ///< of the recent steps, for the estimate
  std::string live_line_;         ///< what the terminal's last line shows or should show
  bool drawn_ = false;            ///< the cursor is behind a live line
  std::optional<double> last_draw_;
};

}  // namespace ingot
