#include "collectives/shm/shm_communicator.hpp"

#include <unistd.h>

#include <atomic>
#include <deque>
#include <numeric>
#include <utility>

#include "collectives/host_staging.hpp"
#include "collectives/shm/collective.hpp"
#include "collectives/shm/cores.hpp"
#include "collectives/shm/group.hpp"

namespace ingot {
namespace {

using Abort = std::function<void(int)>;

/// Collectives that may be enqueued before objects for more are allocated.
constexpr std::size_t kPrepared = 64;

constexpr std::chrono::nanoseconds kNoSpin{0};
/// How long a wait spins where all ranks have cores. More than being woken takes (30 microseconds
/// on a virtual machine): else two ranks in step that once slept would keep each other asleep, each
/// coming too late for the other's wait.
constexpr std::chrono::nanoseconds kSpin{50'000};

class Shm final : public ShmCommunicator {
 public:
  Shm(std::unique_ptr<shm::Group> group, std::chrono::nanoseconds inline_spin, Abort abort)
      : group_(std::move(group)), inline_spin_(inline_spin), abort_(std::move(abort)) {
    for (std::size_t i = 0; i < kPrepared; ++i) pending_.emplace_back(*this);
  }

  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }
  std::string transport() const override { return "shm"; }
  void reserve(Stream& stream, std::int64_t bytes) override {
    if (size() > 1) staging_.reserve(stream, bytes);
  }
  void share(const Buffer& buffer) override { group_->regions()->share(buffer); }
  void unshare(const Buffer& buffer) override { group_->regions()->unshare(buffer); }
  [[noreturn]] void abort(int exit_code) override;
  std::vector<RankProgress> progress() const override;

 private:
  /// A collective from its call to its completion, then free for the next call. A recorded one is
  /// run again at each replay and never free.
  struct Pending {
    explicit Pending(Shm& communicator) : owner(communicator) {}
    Shm& owner;
    shm::Collective collective;
    std::atomic<bool> free{true};
  };

  std::unique_ptr<Communicator> create_split(int color, int key) override;
  void enqueue(const CollectiveCall& call, Stream& stream) override;
  void enqueue_on_host(const CollectiveCall& call, Stream& stream);
  Pending& take_pending();
  static bool attempt(void* pending);
  static void run(void* pending);

  std::unique_ptr<shm::Group> group_;
  std::chrono::nanoseconds inline_spin_;
  Abort abort_;
  std::uint64_t numbered_ = 0;  ///< calls that are not recorded; of the thread that makes them
  HostStaging staging_;
  // Of the thread that makes the calls, except for Pending::free.
  std::deque<Pending> recorded_;
  std::deque<Pending> pending_;  ///< all others
  std::size_t next_ = 0;         ///< of pending_: used longest ago
};

void Shm::enqueue(const CollectiveCall& call, Stream& stream) {
  if (size() == 1) return HostStaging::copy_alone(call, stream);
  if (stream.device().host_visible() || call.kind == CollectiveKind::kBarrier) {
    return enqueue_on_host(call, stream);
  }
  const CollectiveCall staged = staging_.copy_in(call, stream, size());
  enqueue_on_host(staged, stream);
  HostStaging::copy_out(call, staged, stream, size());
}

void Shm::enqueue_on_host(const CollectiveCall& call, Stream& stream) {
  if (stream.recording()) {
    Pending& pending = recorded_.emplace_back(*this);
    const auto slot = static_cast<std::uint32_t>(shm::kLanes + recorded_.size() - 1);
    pending.collective.set_recorded(*group_, call, slot);
    return stream.call(run, &pending);
  }
  Pending& pending = take_pending();
  pending.collective.set_numbered(*group_, call, numbered_++);
  stream.try_call(attempt, run, &pending);
}

/// In the caller, where its stream is idle: it waits for peers only as long as a wake-up of the
/// stream's own thread would take. More would not do: a peer may come to this call only after
/// something that this caller is yet to do.
bool Shm::attempt(void* context) {
  auto& pending = *static_cast<Pending*>(context);
  try {
    if (!pending.collective.attempt(pending.owner.inline_spin_)) return false;
  } catch (...) {
    pending.collective.flight().fail();
    throw;
  }
  pending.free.store(true, std::memory_order_release);
  return true;
}

void Shm::run(void* context) {
  auto& pending = *static_cast<Pending*>(context);
  try {
    pending.collective.run();
  } catch (...) {
    pending.collective.flight().fail();
    throw;
  }
  if (!pending.collective.recorded()) pending.free.store(true, std::memory_order_release);
}

/// They become free about in the order in which they were taken.
Shm::Pending& Shm::take_pending() {
  for (std::size_t tried = 0; tried < pending_.size(); ++tried) {
    Pending& pending = pending_[next_];
    next_ = next_ + 1 < pending_.size() ? next_ + 1 : 0;
    if (pending.free.load(std::memory_order_acquire)) {
      pending.free.store(false, std::memory_order_relaxed);
      return pending;
    }
  }
  Pending& added = pending_.emplace_back(*this);
  added.free.store(false, std::memory_order_relaxed);
  return added;
}

std::unique_ptr<Communicator> Shm::create_split(int color, int key) {
  return std::make_unique<Shm>(group_->split(color, key), inline_spin_, abort_);
}

void Shm::abort(int exit_code) {
  group_->leave_word(static_cast<ExitCode>(exit_code));
  if (abort_) abort_(exit_code);
  _exit(exit_code);
}

std::vector<RankProgress> Shm::progress() const {
  std::vector<RankProgress> all;
  for (int other = 0; other < size(); ++other) {
    const shm::RankStatus& status = group_->control().status(other);
    all.push_back({.started = status.started.load(),
                   .finished = status.finished.load(),
                   .text = group_->describe_rank(other)});
  }
  return all;
}

}  // namespace

std::unique_ptr<ShmCommunicator> create_shm_communicator(const ShmOptions& options) {
  const std::chrono::duration<double> timeout(options.timeout_seconds);
  auto mesh = std::make_shared<shm::Mesh>(options.rank, options.size, options.all_gather, timeout);
  std::vector<int> members(static_cast<std::size_t>(options.size));
  std::iota(members.begin(), members.end(), 0);
  std::vector<std::string> names = options.names;
  for (int rank = static_cast<int>(names.size()); rank < options.size; ++rank) {
    names.push_back(fmt::format("rank {}", rank));
  }
  const bool all_awake = shm::have_cores(*mesh, members, options.threads);
  const bool callers_awake = shm::have_cores(*mesh, members, 1);
  const shm::Timing timing{.timeout = timeout, .spin = all_awake ? kSpin : kNoSpin};
  auto group = std::make_unique<shm::Group>(std::move(mesh), std::move(members), std::move(names),
                                            nullptr, timing);
  return std::make_unique<Shm>(std::move(group), callers_awake ? kSpin : kNoSpin, options.abort);
}

}  // namespace ingot
