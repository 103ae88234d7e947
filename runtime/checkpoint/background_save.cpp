#include "runtime/checkpoint/background_save.hpp"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

/// Between two votes of ranks that do nothing but wait.
constexpr std::chrono::seconds kVoteInterval(1);

/// Adds the time until it goes out of scope.
class Stopwatch {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Stopwatch(Clock::duration& total) : total_(total), begun_(Clock::now()) {}
  ~Stopwatch() { total_ += Clock::now() - begun_; }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  Clock::duration& total_;
  Clock::time_point begun_;
};

}  // namespace

BackgroundSave::BackgroundSave(SaveOptions options, Device& device, const StateView& state,
                               RankExchange& exchange)
    : options_(std::move(options)),
      exchange_(exchange),
      snapshot_(device, state, exchange.rank(), exchange.size()) {}

BackgroundSave::~BackgroundSave() {
  cancelled_ = true;
  if (thread_.joinable()) thread_.join();
}

void BackgroundSave::start(Phase phase, std::function<Outcome()> work) {
  phase_ = phase;
  done_ = false;
  thread_ = std::thread([this, work = std::move(work)] {
    pthread_setname_np(pthread_self(), "checkpoint");
    outcome_ = work();
    const std::lock_guard lock(mutex_);
    done_ = true;
    changed_.notify_all();
  });
}

void BackgroundSave::begin(const StateView& state, const TrainingState& training) {
  ensure(!busy(), "one save at a time");
  begun_ = Clock::now();
  blocked_ = {};
  const Stopwatch blocked(blocked_);
  job_ = plan_save(options_, state, training, exchange_.size());
  open_folder(job_, exchange_);
  snapshot_.take(state);
  start(Phase::kWriting, [this] {
    const Outcome copied = attempt([this] {
      snapshot_.wait();
      return std::string();
    });
    if (copied.code != 0) return copied;
    return write_part(job_, snapshot_.view(), exchange_.rank(), exchange_.size(), [this] {
      if (cancelled_) fail(ExitCode::kCannotWrite, "the run ends");
    });
  });
}

std::optional<SaveResult> BackgroundSave::advance() {
  ensure(busy(), "a save that can advance");
  {
    const Stopwatch blocked(blocked_);
    thread_.join();
    if (phase_ == Phase::kCommitting) {
      phase_ = Phase::kIdle;
      outcome_ = Outcome::decode(exchange_.broadcast(outcome_.encode()));
    } else {
      std::vector<std::string> reports = exchange_.gather(outcome_.encode());
      start(Phase::kCommitting, [this, reports = std::move(reports)] {
        return exchange_.rank() == 0 ? commit(job_, snapshot_.view(), reports) : Outcome{};
      });
    }
  }
  if (busy()) return {};
  return conclude();
}

SaveResult BackgroundSave::conclude() {
  SaveResult result = result_of(job_, outcome_);
  const std::chrono::duration<double> all = Clock::now() - begun_;
  const std::chrono::duration<double> blocked = blocked_;
  result.seconds = all.count();
  result.blocked_seconds = blocked.count();
  return result;
}

/// Ranks hear of each other while they wait: a large part on a slow disk takes longer than the time
/// after which a rank that is silent inside a collective counts as lost.
void BackgroundSave::wait_for_all() {
  for (std::string votes; votes != "all";) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kVoteInterval, [&] { return done_.load(); });
    }
    const std::vector<std::string> ranks = exchange_.gather(done_ ? "done" : "busy");
    votes = exchange_.broadcast(std::ranges::count(ranks, "busy") == 0 ? "all" : "some");
  }
}

std::optional<SaveResult> BackgroundSave::finish() {
  std::optional<SaveResult> result;
  while (busy()) {
    {
      const Stopwatch blocked(blocked_);
      wait_for_all();
    }
    result = advance();
  }
  return result;
}

}  // namespace ingot
