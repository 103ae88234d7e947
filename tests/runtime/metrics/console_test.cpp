// The progress line on terminals and in logs.
#include "runtime/metrics/console.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/metrics/table.hpp"

namespace ingot {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A console whose clock and output the test holds.
struct Screen {
  double time = 0;
  std::string text;

  Console console(bool live, std::int64_t columns = 200) {
    Console::Options options;
    options.terminal = {live, columns};
    options.every = 10;
    options.now = [this] { return time; };
    options.write = [this](std::string_view part) { text += part; };
    return Console(options);
  }
  std::int64_t lines() const { return std::count(text.begin(), text.end(), '\n'); }
};

StepReport report_of(std::int64_t step, std::int64_t total = 100) {
  StepReport report;
  report.step = step;
  report.total = total;
  report.loss = 2.34567;
  report.gradient_norm = 0.98;
  report.learning_rate = 6e-4;
  report.step_seconds = 0.05;
  report.data_seconds = 0.001;
  report.exposed_communication_seconds = 0.0023;
  report.items_per_second = 12345;
  return report;
}

TEST(ProgressLine, HasEveryField) {
  StepReport report = report_of(7);
  report.peak_fraction = 0.731;
  report.seconds_left = 95;
  EXPECT_EQ(progress_line(report),
            "step 7/100  loss 2.3457  norm 0.98  lr 6.00e-04  50.0 ms (data 1.0, comm 2.3)  "
            "12.3k tokens/s  peak 73.1%  ETA 1m35s");
}

TEST(ProgressLine, ShowsADashForWhatIsNotKnown) {
  EXPECT_THAT(progress_line(report_of(7, 0)), HasSubstr("step 7  loss"));
  EXPECT_THAT(progress_line(report_of(7, 0)), HasSubstr("peak -  ETA -"));
}

TEST(Durations, UseTheTwoLargestUnits) {
  EXPECT_EQ(duration_text(7.2), "7s");
  EXPECT_EQ(duration_text(95), "1m35s");
  EXPECT_EQ(duration_text(3725), "1h02m");
  EXPECT_EQ(duration_text(3 * 86400 + 7200), "3d02h");
  EXPECT_EQ(duration_text(-1), "-");
}

TEST(ConsoleInALog, PrintsTheFirstStepsThenOnePerIntervalAndTheLast) {
  Screen screen;
  Console console = screen.console(false);
  for (std::int64_t step = 1; step <= 25; ++step) console.step(report_of(step, 25));
  console.finish();
  EXPECT_EQ(screen.lines(), 3 + 2 + 1) << screen.text;
  EXPECT_THAT(screen.text, HasSubstr("step 20/25"));
  EXPECT_THAT(screen.text, HasSubstr("step 25/25"));
  EXPECT_THAT(screen.text, Not(HasSubstr("step 4/25")));
  EXPECT_THAT(screen.text, Not(HasSubstr("\x1b")));
}

TEST(ConsoleInALog, PrintsTheFirstStepsOfAResumedRunAndEverySkippedOne) {
  Screen screen;
  Console console = screen.console(false);
  for (std::int64_t step = 51; step <= 58; ++step) {
    StepReport report = report_of(step);
    report.skipped = step == 57;
    console.step(report);
  }
  EXPECT_EQ(screen.lines(), 4) << screen.text;
  EXPECT_THAT(screen.text, HasSubstr("SKIPPED"));
}

TEST(ConsoleOnATerminal, RewritesOneLine) {
  Screen screen;
  Console console = screen.console(true);
  for (std::int64_t step = 1; step <= 5; ++step) {
    console.step(report_of(step));
    screen.time += 1;
  }
  EXPECT_EQ(screen.lines(), 0);
  EXPECT_THAT(screen.text, HasSubstr("\r\x1b[Kstep 5/100"));
  console.finish();
  EXPECT_EQ(screen.lines(), 1);
  console.finish();
  EXPECT_EQ(screen.lines(), 1);
}

TEST(ConsoleOnATerminal, DrawsNoMoreOftenThanAPersonReads) {
  Screen screen;
  Console console = screen.console(true);
  for (std::int64_t step = 1; step <= 50; ++step) {
    console.step(report_of(step));
    screen.time += 0.01;
  }
  EXPECT_LE(std::count(screen.text.begin(), screen.text.end(), '\r'), 7);
  console.finish();
  EXPECT_THAT(screen.text, HasSubstr("step 50/100")) << "the last step is not lost";
}

TEST(ConsoleOnATerminal, KeepsPrintedLinesAboveTheLiveOne) {
  Screen screen;
  Console console = screen.console(true);
  console.step(report_of(1));
  console.print("validation loss 2.5");
  EXPECT_THAT(screen.text, HasSubstr("\r\x1b[Kvalidation loss 2.5\n\r\x1b[Kstep 1/100"));
}

TEST(ConsoleOnATerminal, CutsTheLineToItsWidth) {
  Screen screen;
  Console console = screen.console(true, 20);
  console.step(report_of(1));
  const std::string shown = screen.text.substr(std::string("\r\x1b[K").size());
  EXPECT_EQ(shown.size(), 19U) << shown;
}

TEST(Console, EstimatesTheTimeLeftFromRecentSteps) {
  Screen screen;
  Console console = screen.console(false);
  for (std::int64_t step = 1; step <= 10; ++step) {
    StepReport report = report_of(step, 1000);
    report.step_seconds = 2;
    console.step(report);
  }
  EXPECT_THAT(screen.text, HasSubstr("step 10/1000"));
  EXPECT_THAT(screen.text, HasSubstr("ETA 33m00s"));
}

TEST(Terminal, IsNotAFile) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  EXPECT_FALSE(terminal_of(file).live);
  Console console(file, 10);
  console.step(report_of(1));
  std::rewind(file);
  char line[300] = {};
  EXPECT_NE(std::fgets(line, sizeof line, file), nullptr);
  EXPECT_THAT(line, HasSubstr("step 1/100"));
  std::fclose(file);
}

}  // namespace
}  // namespace ingot
