// The timeline of one step on one rank: when each op and collective ran, as a file that Perfetto
// (ui.perfetto.dev) and chrome://tracing open. Files of several ranks can be opened together: each
// rank is a process there, each stream a thread. Source of the format: "Trace Event Format",
// complete events ("ph": "X").
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ingot {

struct TraceSpan {
  std::string name;      ///< "layer 3/attention", "bucket 2"
  std::string category;  ///< "forward", "backward", "update", "communication", "data"
  int track = 0;         ///< number of a stream, as named when the trace was made
  double begin = 0;      ///< steady-clock seconds
  double end = 0;
  /// Figures of the span, shown when it is selected: "bytes", "matrix FLOPs".
  std::vector<std::pair<std::string, double>> figures = {};
};

class StepTrace {
 public:
  /// `tracks`: names of streams; a span's track is an index into it.
  StepTrace(std::int64_t step, int rank, std::string host, std::vector<std::string> tracks);

  void add(TraceSpan span) { spans_.push_back(std::move(span)); }
  std::int64_t step() const { return step_; }
  const std::vector<TraceSpan>& spans() const { return spans_; }
  /// The file's contents. Times count from the epoch in microseconds, so that ranks whose clocks
  /// agree line up.
  std::string json() const;
  /// "step-00000120-rank-00003.json".
  std::string file_name() const;

 private:
  std::int64_t step_;
  int rank_;
  std::string host_;
  std::vector<std::string> tracks_;
  double epoch_minus_steady_;  ///< seconds, when the trace was made
  std::vector<TraceSpan> spans_;
};

}  // namespace ingot
