// Ends a job in which a rank died, hangs or disagrees, with one message that says which rank and in
// which collective. Every rank has one; it is a thread that sleeps, wakes a few times per timeout,
// and answers the other ranks when they ask where this one is. README.md describes what it decides.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "collectives/flight_log.hpp"
#include "collectives/peer_process.hpp"
#include "collectives/status_channel.hpp"
#include "collectives/watchdog_verdict.hpp"
#include "ops/base/error.hpp"
#include "ops/base/file.hpp"

namespace ingot {

/// How the watchdog speaks and acts; a job ends for real, a test looks on.
struct WatchdogActions {
  std::function<void(const std::string&)> say;   ///< the one message, for people
  std::function<void(const std::string&)> note;  ///< for the rank's own log
  std::function<void(int code)> end_job;         ///< ends all ranks; does not return in a job
  std::function<void(int code)> leave;           ///< ends this rank, which others end too; likewise
  /// Is called when an end begins that must not take long: should end the process itself later.
  std::function<void(int code)> begin_deadline;
};

struct WatchdogTimes {
  double answer = 1.0;         ///< for all ranks' answers
  double quick_answer = 0.25;  ///< the same where the job is being ended already
  double lost = 1.0;           ///< for the kernel to tell of an end that a transport noticed
  double message = 3.0;        ///< for the message of the rank that is to print it
  double written = 1.0;        ///< for the others' flight records
  double ended = 5.0;          ///< for mpirun to end this rank
};

class Watchdog {
 public:
  /// All references outlive it. A collective that does not move for `timeout_seconds` hangs; 0:
  /// none ever does.
  Watchdog(FlightLog& log, StatusChannel& channel, PeerProcesses processes, double timeout_seconds,
           WatchdogActions actions, WatchdogTimes times = {});
  /// Stops watching. Before MPI ends, when peers may end too.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  void set_timeout(double seconds);
  /// Where flight records are written when something goes wrong: folder/rank-00000.json.
  void write_records_to(const std::filesystem::path& folder, FileAccess access);
  /// Writes this rank's record now. Failing is a matter for the log.
  void write_record();

  /// A signal handler writes 8 bytes, any number but 0, to this descriptor when the process is
  /// asked to end: the watchdog then tells whether a peer was lost.
  int termination_descriptor() const { return termination_.get(); }

  /// An error of this rank alone ends the job: says it, tells the others, ends with its code. Where
  /// a collective of this rank failed, all ranks' records explain it. Returns only where the
  /// actions do. Where the watchdog is ending the job already, it only waits for that.
  void end_with(const Error& error);
  /// Whether the end of the job has begun.
  bool ending() const { return ending_.load(); }

 private:
  using Seconds = double;
  struct Ending {
    int code = 0;
    std::string message;
  };

  void run();
  void sleep_until(double time);
  void take_letters();
  void read_letter(int from, const std::string& text);
  /// Sleeps until the condition holds or the time is over; letters are answered meanwhile.
  bool wait(Seconds at_most, const std::function<bool()>& condition);
  void send_to_all(const std::string& text);

  void look_for_hang();
  void look_for_lost_peers();
  void answer_termination();
  bool ask_all(Seconds at_most);
  bool all_answered() const;
  bool all_written() const;
  bool any_ended() const;
  bool was_stopped() const;
  Seconds patience() const;
  std::vector<PeerState> peers() const;
  std::optional<Trouble> collective_in_flight(double longer_than) const;
  std::optional<Trouble> failed_collective(const Error& error) const;

  void conclude(Trouble trouble);
  void speak(const Verdict& verdict, bool others_end_it);
  void obey();
  void end_with_own_error(const Error& error);

  FlightLog& log_;
  StatusChannel& channel_;
  PeerProcesses processes_;
  WatchdogActions actions_;
  WatchdogTimes times_;
  std::atomic<double> timeout_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> ending_{false};
  FileDescriptor wake_;         ///< an eventfd: letters, the stop, an own error
  FileDescriptor termination_;  ///< an eventfd that the signal handler writes to

  mutable std::mutex mutex_;
  std::vector<std::pair<int, std::string>> letters_;  ///< guarded by mutex_
  std::optional<Error> own_error_;                    ///< guarded by mutex_
  std::filesystem::path folder_;                      ///< guarded by mutex_
  FileAccess access_ = FileAccess::kShared;           ///< guarded by mutex_
  bool done_ = false;                                 ///< guarded by mutex_: nothing more will come
  std::condition_variable done_changed_;

  // Of the thread:
  bool concluding_ = false;
  bool terminated_ = false;  ///< the process was asked to end
  double continued_ = -1e9;  ///< when the process went on after it was stopped
  std::uint64_t round_ = 0;  ///< of questions
  std::map<int, FlightReport> answers_;
  std::set<int> concluders_;     ///< other ranks that are about to end the job
  std::set<int> written_;        ///< ranks that have heard the end and left their records
  std::optional<Ending> ended_;  ///< another rank's word that the job ends
  std::thread thread_;
};

}  // namespace ingot
