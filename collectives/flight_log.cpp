#include "collectives/flight_log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace ingot {

void FlightLog::set_rank(int rank, int ranks, const std::string& host) {
  const std::scoped_lock lock(mutex_);
  rank_ = rank;
  ranks_ = ranks;
  host_ = host;
}

std::string FlightLog::add(const FlightRecord& record, std::string name, int size) {
  const std::scoped_lock lock(mutex_);
  const auto before = std::ranges::count(names_, name);
  names_.push_back(name);
  if (before > 0) name += fmt::format("#{}", before + 1);
  records_.push_back({&record, name, size});
  return name;
}

void FlightLog::remove(const FlightRecord& record) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(records_, [&](const Named& named) { return named.record == &record; });
}

FlightReport FlightLog::report() const {
  const double unix_seconds =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const double offset = unix_seconds - flight_clock();
  FlightReport report;
  const std::scoped_lock lock(mutex_);
  report.rank = rank_;
  report.ranks = ranks_;
  report.host = host_;
  report.pid = getpid();
  report.step = step_.load(std::memory_order_relaxed);
  report.activity = activity_.load(std::memory_order_relaxed);
  report.written = unix_seconds;
  for (const Named& named : records_) {
    report.groups.push_back({named.name, named.size, named.record->snapshot()});
    for (FlightCall& call : report.groups.back().calls) {
      for (double* time : {&call.enqueued, &call.started, &call.moved, &call.finished}) {
        if (*time > 0) *time += offset;
      }
    }
  }
  return report;
}

}  // namespace ingot
