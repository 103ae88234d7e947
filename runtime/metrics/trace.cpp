#include "runtime/metrics/trace.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

namespace ingot {

namespace {

using nlohmann::json;

template <typename Clock>
double now() {
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

/// What names a process (a rank) or one of its threads (streams) in the viewer.
json metadata(const char* kind, int rank, int track, const std::string& name) {
  return {{"name", kind}, {"ph", "M"}, {"pid", rank}, {"tid", track}, {"args", {{"name", name}}}};
}

}  // namespace

StepTrace::StepTrace(std::int64_t step, int rank, std::string host, std::vector<std::string> tracks)
    : step_(step),
      rank_(rank),
      host_(std::move(host)),
      tracks_(std::move(tracks)),
      epoch_minus_steady_(now<std::chrono::system_clock>() - now<std::chrono::steady_clock>()) {}

std::string StepTrace::json() const {
  nlohmann::json events = nlohmann::json::array();
  events.push_back(metadata("process_name", rank_, 0, fmt::format("rank {} ({})", rank_, host_)));
  for (std::size_t track = 0; track < tracks_.size(); ++track) {
    events.push_back(metadata("thread_name", rank_, static_cast<int>(track), tracks_[track]));
  }
  // Whole nanoseconds: a viewer reads microseconds with three decimals, and more digits of the
  // epoch than a double holds would be noise.
  const auto microseconds = [](double seconds) { return std::round(seconds * 1e9) / 1e3; };
  for (const TraceSpan& span : spans_) {
    nlohmann::json figures = nlohmann::json::object();
    for (const auto& [name, value] : span.figures) figures[name] = value;
    events.push_back({{"name", span.name},
                      {"cat", span.category},
                      {"ph", "X"},
                      {"pid", rank_},
                      {"tid", span.track},
                      {"ts", microseconds(span.begin + epoch_minus_steady_)},
                      {"dur", microseconds(span.end - span.begin)},
                      {"args", std::move(figures)}});
  }
  const nlohmann::json document = {{"traceEvents", std::move(events)},
                                   {"displayTimeUnit", "ms"},
                                   {"otherData", {{"step", step_}, {"rank", rank_}}}};
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string StepTrace::file_name() const {
  return fmt::format("step-{:08}-rank-{:05}.json", step_, rank_);
}

}  // namespace ingot
