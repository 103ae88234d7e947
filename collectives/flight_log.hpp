// The flight records of all communicators of one rank, and what else the rank says of itself: the
// step and what it is busy with. Lives as long as the job; its reports can be made by any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "collectives/flight_record.hpp"
#include "collectives/flight_report.hpp"

namespace ingot {

class FlightLog {
 public:
  FlightLog() = default;
  FlightLog(const FlightLog&) = delete;
  FlightLog& operator=(const FlightLog&) = delete;

  /// Who this is, once known.
  void set_rank(int rank, int ranks, const std::string& host);
  /// The optimizer step that begins, from 1.
  void set_step(std::int64_t step) { step_.store(step, std::memory_order_relaxed); }
  /// What the rank is busy with: a text that lives for ever.
  void set_activity(const char* what) { activity_.store(what, std::memory_order_relaxed); }

  /// From now on the record is part of reports. All ranks add their communicators in the same
  /// order: a name that was taken before gets a number. Returns the name.
  std::string add(const FlightRecord& record, std::string name, int size);
  void remove(const FlightRecord& record);

  FlightReport report() const;

 private:
  struct Named {
    const FlightRecord* record = nullptr;
    std::string name;
    int size = 0;
  };

  mutable std::mutex mutex_;
  std::vector<Named> records_;      ///< guarded by mutex_
  std::vector<std::string> names_;  ///< of all that ever were; guarded by mutex_
  int rank_ = 0;                    ///< guarded by mutex_
  int ranks_ = 1;                   ///< guarded by mutex_
  std::string host_ = "unknown";    ///< guarded by mutex_
  std::atomic<std::int64_t> step_{-1};
  std::atomic<const char*> activity_{""};
};

}  // namespace ingot
