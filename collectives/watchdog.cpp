#include "collectives/watchdog.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "ops/device/cpu/worker_thread.hpp"

namespace ingot {
namespace {

// Letters begin with a line of their kind and numbers:
//   ask ROUND CONCLUDING      where are you?
//   am ROUND CONCLUDING       followed by a flight report
//   end CODE                  followed by the message: the job ends
//   heard                     the end was heard, the record is written
constexpr std::size_t kCallsInAnswers = 64;

/// How often a rank looks at its collectives, at least and at most.
constexpr double kOftenest = 0.05;
constexpr double kRarest = 5;

void signal_to(const FileDescriptor& event) {
  const std::uint64_t one = 1;
  (void)!write(event.get(), &one, sizeof one);
}

/// Waking this much later than planned means that the process was stopped meanwhile (SIGSTOP).
constexpr double kStoppedSeconds = 1;

/// Whether the eventfd was written to; resets it.
bool take(const FileDescriptor& event) {
  std::uint64_t count = 0;
  return read(event.get(), &count, sizeof count) == sizeof count && count > 0;
}

FileDescriptor new_event() {
  FileDescriptor event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  ensure(static_cast<bool>(event), "a descriptor for the watchdog");
  return event;
}

}  // namespace

Watchdog::Watchdog(FlightLog& log, StatusChannel& channel, PeerProcesses processes,
                   double timeout_seconds, WatchdogActions actions, WatchdogTimes times)
    : log_(log),
      channel_(channel),
      processes_(std::move(processes)),
      actions_(std::move(actions)),
      times_(times),
      timeout_(timeout_seconds),
      wake_(new_event()),
      termination_(new_event()) {
  channel_.set_receiver([this](int from, std::string text) {
    {
      const std::scoped_lock lock(mutex_);
      letters_.emplace_back(from, std::move(text));
    }
    signal_to(wake_);
  });
  thread_ = std::thread([this] {
    cpu::prepare_worker_thread("ingot watchdog");
    run();
    const std::scoped_lock lock(mutex_);
    done_ = true;
    done_changed_.notify_all();
  });
}

Watchdog::~Watchdog() {
  stopping_.store(true);
  signal_to(wake_);
  thread_.join();
  channel_.set_receiver(nullptr);
}

void Watchdog::set_timeout(double seconds) {
  timeout_.store(seconds);
  signal_to(wake_);
}

void Watchdog::write_records_to(const std::filesystem::path& folder, FileAccess access) {
  const std::scoped_lock lock(mutex_);
  folder_ = folder;
  access_ = access;
}

void Watchdog::write_record() {
  std::filesystem::path folder;
  FileAccess access = FileAccess::kShared;
  {
    const std::scoped_lock lock(mutex_);
    folder = folder_;
    access = access_;
  }
  if (folder.empty()) return;
  try {
    create_folders(folder, access);
    write_file_atomically(folder / fmt::format("rank-{:05}.json", channel_.rank()),
                          to_json(log_.report()), access);
  } catch (const std::exception& error) {
    actions_.note(fmt::format("the flight record is not written: {}", error.what()));
  }
}

void Watchdog::end_with(const Error& error) {
  std::unique_lock lock(mutex_);
  if (!own_error_) own_error_ = error;
  signal_to(wake_);
  done_changed_.wait(lock, [&] { return done_; });
}

void Watchdog::run() {
  while (!stopping_.load() && !ending_.load()) {
    const double timeout = timeout_.load();
    const double interval = timeout > 0 ? std::clamp(timeout / 10, kOftenest, kRarest) : kRarest;
    // Of one that had ended before nothing wakes this thread.
    if (!any_ended()) sleep_until(flight_clock() + interval);
    if (stopping_.load()) return;
    take_letters();
    std::optional<Error> error;
    {
      const std::scoped_lock lock(mutex_);
      error = own_error_;
    }
    if (ended_) {
      obey();
    } else if (error) {
      end_with_own_error(*error);
    } else if (take(termination_)) {
      answer_termination();
    } else {
      look_for_lost_peers();
      if (!ending_.load()) look_for_hang();
    }
  }
}

/// Until then, or until something happens.
void Watchdog::sleep_until(double time) {
  std::vector<pollfd> events = {{wake_.get(), POLLIN, 0}};
  if (!terminated_) events.push_back({termination_.get(), POLLIN, 0});
  for (int rank = 0; rank < processes_.size(); ++rank) {
    // One that has ended would keep this from sleeping.
    const bool watched = processes_.seen(rank) && !processes_.ended(rank);
    if (watched) events.push_back({processes_.descriptor(rank), POLLIN, 0});
  }
  const double left = std::clamp((time - flight_clock()) * 1000, 0.0, 1e6);
  poll(events.data(), events.size(), static_cast<int>(std::ceil(left)));
  const double now = flight_clock();
  if (now - time > kStoppedSeconds) continued_ = now;
  take(wake_);
}

void Watchdog::take_letters() {
  std::vector<std::pair<int, std::string>> letters;
  {
    const std::scoped_lock lock(mutex_);
    letters.swap(letters_);
  }
  for (const auto& [from, text] : letters) read_letter(from, text);
}

void Watchdog::read_letter(int from, const std::string& text) {
  const std::size_t line = std::min(text.find('\n'), text.size());
  const std::string head = text.substr(0, line);
  const std::string rest = text.substr(std::min(line + 1, text.size()));
  unsigned long long round = 0;
  int number = 0;
  if (std::sscanf(head.c_str(), "ask %llu %d", &round, &number) == 2) {
    if (number != 0) concluders_.insert(from);
    FlightReport report = log_.report();
    report.keep_last(kCallsInAnswers);
    channel_.send(from, fmt::format("am {} {:d}\n{}", round, concluding_, to_json(report)));
  } else if (std::sscanf(head.c_str(), "am %llu %d", &round, &number) == 2) {
    if (number != 0) concluders_.insert(from);
    if (round == round_) answers_[from] = parse_flight_report(rest);
  } else if (std::sscanf(head.c_str(), "end %d", &number) == 1) {
    if (!ended_) ended_ = Ending{number, rest};
  } else if (head == "heard") {
    written_.insert(from);
  }
}

bool Watchdog::wait(Seconds at_most, const std::function<bool()>& condition) {
  const double deadline = flight_clock() + at_most;
  while (true) {
    take_letters();
    if (!terminated_) terminated_ = take(termination_);
    if (condition()) return true;
    if (stopping_.load() || flight_clock() >= deadline) return false;
    sleep_until(deadline);
  }
}

void Watchdog::send_to_all(const std::string& text) {
  for (int rank = 0; rank < channel_.size(); ++rank) {
    if (rank != channel_.rank()) channel_.send(rank, text);
  }
}

/// The call that is in flight without moving for longest, where that is longer than this many
/// seconds.
std::optional<Trouble> Watchdog::collective_in_flight(double longer_than) const {
  const FlightReport report = log_.report();
  std::optional<Trouble> found;
  for (const FlightReport::Group& group : report.groups) {
    const FlightCall* call = group.longest_in_flight();
    if (call == nullptr) continue;
    const double seconds = report.written - call->last_move();
    if (seconds <= longer_than || (found && seconds <= found->seconds)) continue;
    found.emplace();
    found->group = group.name;
    found->call = *call;
    found->seconds = seconds;
  }
  return found;
}

/// The collective that an error of this rank comes from: one that its transport marked, or the one
/// in flight where the error says that a peer does not come or calls something else.
std::optional<Trouble> Watchdog::failed_collective(const Error& error) const {
  std::optional<Trouble> found;
  for (const FlightReport::Group& group : log_.report().groups) {
    for (const FlightCall& call : group.calls) {
      if (!call.failed || found) continue;
      found.emplace();
      found->group = group.name;
      found->call = call;
    }
  }
  if (!found && error.code() == ExitCode::kTimeout) found = collective_in_flight(0);
  if (!found) return found;
  found->kind = Trouble::Kind::kFailed;
  found->error = error.what();
  found->code = error.code();
  return found;
}

void Watchdog::look_for_hang() {
  const double timeout = timeout_.load();
  if (timeout <= 0) return;
  if (auto trouble = collective_in_flight(timeout)) conclude(std::move(*trouble));
}

bool Watchdog::any_ended() const {
  for (int rank = 0; rank < processes_.size(); ++rank) {
    if (processes_.ended(rank)) return true;
  }
  return false;
}

/// Whether this process was stopped until just now: perhaps the job ends because of that, and
/// mpirun has woken it to end it. What others said meanwhile is yet to be read.
bool Watchdog::was_stopped() const {
  return flight_clock() - continued_ < times_.ended;
}

/// How long the word of a rank that ends the job may take to come, before this one speaks of what
/// follows from that.
Watchdog::Seconds Watchdog::patience() const {
  return was_stopped() ? times_.answer : times_.quick_answer / 2;
}

void Watchdog::look_for_lost_peers() {
  if (!any_ended()) return;
  // A rank that ends the job for a reason of its own has said so before.
  if (wait(patience(), [&] { return ended_.has_value(); })) return obey();
  Trouble trouble = collective_in_flight(0).value_or(Trouble{});
  trouble.kind = Trouble::Kind::kLost;
  conclude(std::move(trouble));
}

/// SIGTERM means one of two things. Where all ranks are there, somebody wants the run to save and
/// stop (Slurm, a user). Where one is not, mpirun ends the job because of that one. Of this machine
/// the kernel tells; a rank elsewhere is missed when it does not answer and a collective waits.
void Watchdog::answer_termination() {
  terminated_ = true;  // mpirun may be about to kill this rank, which then need not wait for it
  if (any_ended()) return look_for_lost_peers();
  ask_all(times_.quick_answer);
  if (ended_) return obey();
  if (any_ended()) return look_for_lost_peers();
  const std::optional<Trouble> waiting = collective_in_flight(0);
  bool lost = false;
  for (int rank = 0; rank < channel_.size(); ++rank) {
    const bool unknown = rank != channel_.rank() && !processes_.seen(rank);
    lost |= unknown && waiting.has_value() && !answers_.contains(rank);
  }
  if (!lost) {
    terminated_ = false;
    write_record();
    return actions_.note("asked to end; all ranks are there, so the run saves and stops");
  }
  Trouble trouble = *waiting;
  trouble.kind = Trouble::Kind::kLost;
  conclude(std::move(trouble));
}

bool Watchdog::all_answered() const {
  for (int rank = 0; rank < channel_.size(); ++rank) {
    if (rank == channel_.rank() || answers_.contains(rank)) continue;
    if (!processes_.ended(rank)) return false;
  }
  return true;
}

/// Whether those who can have left their records: all that answered, where they were asked.
bool Watchdog::all_written() const {
  for (int rank = 0; rank < channel_.size(); ++rank) {
    if (rank == channel_.rank() || processes_.ended(rank)) continue;
    if (round_ > 0 && !answers_.contains(rank)) continue;
    if (!written_.contains(rank)) return false;
  }
  return true;
}

/// True if every rank that still runs has answered.
bool Watchdog::ask_all(Seconds at_most) {
  answers_.clear();
  send_to_all(fmt::format("ask {} {:d}", ++round_, concluding_));
  wait(at_most, [&] { return ended_.has_value() || all_answered(); });
  return all_answered();
}

std::vector<PeerState> Watchdog::peers() const {
  std::vector<PeerState> peers;
  for (int rank = 0; rank < channel_.size(); ++rank) {
    const ProcessIdentity& process = processes_.identity(rank);
    PeerState& peer = peers.emplace_back();
    peer.host = process.host;
    peer.pid = process.pid;
    peer.ended = processes_.ended(rank);
    const auto answer = answers_.find(rank);
    if (rank == channel_.rank()) {
      peer.report = log_.report();
      peer.report->keep_last(kCallsInAnswers);
    } else if (answer != answers_.end() && !peer.ended) {
      peer.report = answer->second;
    }
  }
  return peers;
}

/// Ends the job. All ranks that see the trouble come here; the lowest of them speaks, and is heard
/// by the others before it has all their answers, so that exactly one does.
void Watchdog::conclude(Trouble trouble) {
  const bool lost = trouble.kind == Trouble::Kind::kLost;
  concluding_ = true;
  actions_.begin_deadline(static_cast<int>(ExitCode::kTimeout));
  ask_all(lost ? times_.quick_answer : times_.answer);
  if (ended_) return obey();
  if (stopping_.load()) return;
  const Verdict verdict = judge(trouble, peers(), channel_.rank());
  const bool other_speaks = !concluders_.empty() && *concluders_.begin() < channel_.rank();
  if (other_speaks) {
    write_record();
    if (wait(times_.message, [&] { return ended_.has_value(); })) return obey();
    if (stopping_.load()) return;
  }
  speak(verdict, lost || any_ended());
}

/// `others_end_it`: mpirun is about to, with the exit code of the rank that was lost.
void Watchdog::speak(const Verdict& verdict, bool others_end_it) {
  ending_.store(true);
  std::string message = verdict.message;
  {
    const std::scoped_lock lock(mutex_);
    if (!folder_.empty()) message += fmt::format("\n  flight records: {}", folder_.string());
  }
  const int code = static_cast<int>(verdict.code);
  actions_.say(message);
  send_to_all(fmt::format("end {}\n{}", code, message));
  write_record();
  wait(times_.written, [&] { return all_written(); });
  if (others_end_it) {
    wait(times_.ended, [&] { return terminated_; });
    if (terminated_) return actions_.leave(code);
  }
  actions_.end_job(code);
}

/// Another rank has spoken.
void Watchdog::obey() {
  ending_.store(true);
  actions_.begin_deadline(ended_->code);
  actions_.note(fmt::format("another rank ends the job: {}", ended_->message));
  write_record();
  send_to_all("heard");
  wait(times_.ended, [&] { return terminated_; });
  if (terminated_) return actions_.leave(ended_->code);
  actions_.end_job(ended_->code);
}

void Watchdog::end_with_own_error(const Error& error) {
  auto trouble = failed_collective(error);
  if (trouble || error.code() == ExitCode::kTimeout) {
    // A transport may notice before the kernel tells that a peer has ended: a process closes its
    // connections first, and it takes a while to end where it has much memory or many threads.
    wait(times_.lost, [&] { return ended_.has_value() || (any_ended() && !was_stopped()); });
    if (ended_) return obey();
    if (any_ended()) {
      if (!trouble) trouble = collective_in_flight(0).value_or(Trouble{});
      trouble->kind = Trouble::Kind::kLost;
    }
  }
  if (trouble) return conclude(std::move(*trouble));
  concluding_ = true;
  const int code = static_cast<int>(error.code());
  actions_.begin_deadline(code);
  Verdict verdict{error.code(), error.what()};
  speak(verdict, false);
}

}  // namespace ingot
