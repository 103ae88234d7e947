#include "collectives/shm/shm_communicator.hpp"

#include <unistd.h>

#include <deque>
#include <mutex>
#include <numeric>
#include <utility>

#include "collectives/host_staging.hpp"
#include "collectives/shm/collective.hpp"
#include "collectives/shm/group.hpp"
#include "ops/device/cpu/sequence.hpp"

namespace ingot {
namespace {

using Abort = std::function<void(int)>;

/// Collectives that may be enqueued before objects for more are allocated.
constexpr std::size_t kPrepared = 64;

class Shm final : public ShmCommunicator {
 public:
  Shm(std::unique_ptr<shm::Group> group, std::chrono::nanoseconds inline_spin, Abort abort)
      : group_(std::move(group)), inline_spin_(inline_spin), abort_(std::move(abort)) {
    free_.reserve(kPrepared);
    for (std::size_t i = 0; i < kPrepared; ++i) free_.push_back(&pending_.emplace_back(*this));
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
  };

  std::unique_ptr<Communicator> create_split(int color, int key) override;
  void enqueue(const CollectiveCall& call, Stream& stream) override;
  void enqueue_on_host(const CollectiveCall& call, Stream& stream);
  Pending& take_pending();
  static bool attempt(void* pending);
  static void run(void* pending);
  void release(Pending& pending);

  std::unique_ptr<shm::Group> group_;
  std::chrono::nanoseconds inline_spin_;
  Abort abort_;
  std::uint64_t numbered_ = 0;  ///< calls that are not recorded; of the thread that makes them
  std::uint32_t recorded_ = 0;
  HostStaging staging_;
  std::mutex mutex_;
  std::deque<Pending> pending_;  ///< guarded by mutex_
  std::vector<Pending*> free_;   ///< guarded by mutex_; the last one used is reused first
};

void Shm::enqueue(const CollectiveCall& call, Stream& stream) {
  if (size() == 1) {
    return stream.device().copy(stream, call.to, call.from, call.bytes());
  }
  if (stream.device().host_visible() || call.kind == CollectiveKind::kBarrier) {
    return enqueue_on_host(call, stream);
  }
  const CollectiveCall staged = staging_.copy_in(call, stream, size());
  enqueue_on_host(staged, stream);
  HostStaging::copy_out(call, staged, stream, size());
}

void Shm::enqueue_on_host(const CollectiveCall& call, Stream& stream) {
  Pending& pending = take_pending();
  if (stream.recording()) {
    pending.collective.set_recorded(*group_, call, shm::kLanes + recorded_++);
  } else {
    pending.collective.set_numbered(*group_, call, numbered_++);
  }
  stream.try_call(attempt, run, &pending);
}

/// In the caller, where its stream is idle: it waits for peers only as long as a wake-up of the
/// stream's own thread would take. More would not do: a peer may come to this call only after
/// something that this caller is yet to do.
bool Shm::attempt(void* context) {
  auto& pending = *static_cast<Pending*>(context);
  if (!pending.collective.attempt(pending.owner.inline_spin_)) return false;
  pending.owner.release(pending);
  return true;
}

void Shm::run(void* context) {
  auto& pending = *static_cast<Pending*>(context);
  pending.collective.run();
  if (!pending.collective.recorded()) pending.owner.release(pending);
}

Shm::Pending& Shm::take_pending() {
  const std::scoped_lock lock(mutex_);
  if (free_.empty()) {
    pending_.emplace_back(*this);
    free_.reserve(pending_.size());
    free_.push_back(&pending_.back());
  }
  Pending* pending = free_.back();
  free_.pop_back();
  return *pending;
}

void Shm::release(Pending& pending) {
  const std::scoped_lock lock(mutex_);
  free_.push_back(&pending);
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
  const std::int64_t ranks = options.size;
  const shm::Timing timing{.timeout = timeout, .spin = cpu::spin_time(ranks * options.threads)};
  auto group = std::make_unique<shm::Group>(std::move(mesh), std::move(members), std::move(names),
                                            nullptr, timing);
  return std::make_unique<Shm>(std::move(group), cpu::spin_time(ranks), options.abort);
}

}  // namespace ingot
