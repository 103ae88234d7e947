// Traces the steps that the configuration names: while one of them runs, its programs run
// instruction by instruction, and every rank writes a timeline of its own into the run's folder
// trace/. A traced step is slower than others and computes the same bits.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ops/base/file.hpp"
#include "runtime/config/config.hpp"
#include "runtime/execute/executable.hpp"
#include "runtime/metrics/trace.hpp"

namespace ingot {

/// Adds what one run of a program did: its ops by their part of the step, with the matrix FLOPs and
/// bytes that their op states, and what ranks exchanged.
void add_spans(StepTrace& trace, const Program& program,
               const std::vector<TimedInstruction>& times);

class StepTracer {
 public:
  struct Options {
    TraceConfig config;
    std::string folder;  ///< created by the first trace
    FileAccess access = FileAccess::kShared;
    int rank = 0;
    std::string host;
    std::function<void(const std::string&)> warn = {};  ///< gets the message about a failed write
  };
  explicit StepTracer(Options options) : options_(std::move(options)) {}

  /// The trace to fill during this step (counted from 1); null where it is not traced.
  StepTrace* begin(std::int64_t step);
  /// Writes the step's file, if it is traced. A failure is a warning: training goes on.
  void finish();

 private:
  Options options_;
  std::optional<StepTrace> trace_;
};

}  // namespace ingot
