#include "collectives/mpi/mpi_communicator.hpp"

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "collectives/host_staging.hpp"
#include "collectives/mpi/collective.hpp"
#include "collectives/mpi/control_channel.hpp"
#include "collectives/mpi/progress_thread.hpp"

namespace ingot {
namespace {

using mpi::Collective;
using mpi::Exchange;
using mpi::Group;
using mpi::Kind;

/// Collectives that may be enqueued before objects for more are allocated.
constexpr std::size_t kPrepared = 64;

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(MpiSession& session, Group group) : session_(session), group_(std::move(group)) {
    free_.reserve(kPrepared);
    for (std::size_t i = 0; i < kPrepared; ++i) free_.push_back(&slots_.emplace_back(*this));
  }

  int rank() const override { return group_.rank; }
  int size() const override { return group_.size(); }
  std::string transport() const override { return "mpi"; }

  void reserve(Stream& stream, std::int64_t bytes) override {
    if (size() > 1) staging_.reserve(stream, bytes);
  }
  std::unique_ptr<Communicator> create_split(int color, int key) override;

  [[noreturn]] void abort(int exit_code) override { session_.abort(exit_code); }

 private:
  /// A collective from its call to its completion, then free for the next call. A recorded one is
  /// run again at each replay and never free.
  struct Slot {
    explicit Slot(MpiCommunicator& communicator) : owner(communicator) {}
    MpiCommunicator& owner;
    Collective collective;
    bool recorded = false;
  };

  void enqueue(const CollectiveCall& call, Stream& stream) override;
  void enqueue_on_host(const Exchange& exchange, Stream& stream);
  Slot* take_slot();
  static void run_slot(void* slot);

  MpiSession& session_;
  Group group_;
  std::mutex mutex_;
  std::deque<Slot> slots_;   ///< guarded by mutex_
  std::vector<Slot*> free_;  ///< guarded by mutex_; the last one used is reused first
  HostStaging staging_;
};

void MpiCommunicator::enqueue(const CollectiveCall& call, Stream& stream) {
  if (size() == 1) return HostStaging::copy_alone(call, stream);
  if (stream.device().host_visible() || call.kind == Kind::kBarrier) {
    return enqueue_on_host({call, &group_}, stream);
  }
  const CollectiveCall staged = staging_.copy_in(call, stream, size());
  enqueue_on_host({staged, &group_}, stream);
  HostStaging::copy_out(call, staged, stream, size());
}

void MpiCommunicator::enqueue_on_host(const Exchange& exchange, Stream& stream) {
  Slot* slot = take_slot();
  slot->recorded = stream.recording();
  slot->collective.set(exchange);
  stream.call(run_slot, slot);
}

MpiCommunicator::Slot* MpiCommunicator::take_slot() {
  const std::scoped_lock lock(mutex_);
  if (free_.empty()) {
    slots_.emplace_back(*this);
    free_.reserve(slots_.size());
    free_.push_back(&slots_.back());
  }
  Slot* slot = free_.back();
  free_.pop_back();
  return slot;
}

/// Runs on the stream's worker, or a thread of CUDA's, which sleeps until the progress thread is
/// done.
void MpiCommunicator::run_slot(void* context) {
  auto* slot = static_cast<Slot*>(context);
  MpiCommunicator& self = slot->owner;
  mpi::ProgressThread& progress = self.session_.progress();
  if (slot->recorded) slot->collective.set(Exchange(slot->collective.exchange()));
  FlightEntry* flight = slot->collective.exchange().flight;
  flight->start();
  progress.post(slot->collective);
  // Of a failed collective messages may still be in flight: its slot is not used again.
  progress.wait(slot->collective);
  flight->finish();
  if (slot->recorded) return;
  const std::scoped_lock lock(self.mutex_);
  self.free_.push_back(slot);
}

std::unique_ptr<Communicator> MpiCommunicator::create_split(int color, int key) {
  struct Member {
    std::int64_t color = 0;
    std::int64_t key = 0;
    std::int64_t next_context = 0;
  };
  constexpr std::int64_t kNumbers = sizeof(Member) / sizeof(std::int64_t);
  const Member mine{color, key, session_.next_context()};
  std::vector<Member> members(static_cast<std::size_t>(size()));
  Collective collective;
  const CollectiveCall call{.kind = Kind::kAllGather,
                            .label = {"split of a communicator", -1},
                            .to = members.data(),
                            .from = &mine,
                            .count = kNumbers,
                            .type = DType::kI64,
                            .sequence = take_sequence()};
  collective.set({call, &group_});
  session_.progress().post(collective);
  session_.progress().wait(collective);

  Group group;
  std::vector<std::pair<std::int64_t, int>> order;  // key, rank here
  for (int other = 0; other < size(); ++other) {
    const Member& member = members[static_cast<std::size_t>(other)];
    group.context = std::max(group.context, static_cast<int>(member.next_context));
    if (member.color == color) order.emplace_back(member.key, other);
  }
  std::ranges::sort(order);
  for (const auto& [unused, other] : order) {
    if (other == rank()) group.rank = group.size();
    group.world_ranks.push_back(group_.world_ranks[static_cast<std::size_t>(other)]);
  }
  session_.use_context(group.context);
  return std::make_unique<MpiCommunicator>(session_, std::move(group));
}

}  // namespace

std::unique_ptr<Communicator> create_mpi_communicator(MpiSession& session) {
  Group world{.world_ranks = session.world_ranks(), .rank = session.rank()};
  world.context = static_cast<int>(session.control().max(session.next_context()));
  session.use_context(world.context);
  return std::make_unique<MpiCommunicator>(session, std::move(world));
}

}  // namespace ingot
