#include "collectives/shm/group.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ingot::shm {
namespace {

using Clock = std::chrono::steady_clock;

/// How often a sleeping wait looks whether its peer still lives.
constexpr std::chrono::milliseconds kSlice{50};
/// How long a peer has ended before a wait for it does: whatever ended the peer, or watches the
/// job, is to have its say first.
constexpr std::chrono::seconds kGrace{1};

}  // namespace

Group::Group(std::shared_ptr<Mesh> mesh, std::vector<int> members, std::vector<std::string> names,
             std::shared_ptr<Regions> parent, Timing timing)
    : mesh_(std::move(mesh)),
      members_(std::move(members)),
      names_(std::move(names)),
      timing_(timing),
      regions_(std::make_shared<Regions>(mesh_, members_, std::move(parent))),
      peers_settled_(members_.size()) {
  rank_ = static_cast<int>(std::ranges::find(members_, mesh_->rank()) - members_.begin());
  // The first rank makes the memory. Ranks of one process, as in tests, use one mapping of it, so
  // that tools which watch addresses see what they share.
  const bool creates = rank_ == 0;
  File file;
  std::string told(sizeof(const std::shared_ptr<Control>*), '\0');
  int descriptor = -1;
  if (creates) {
    file = Control::create(size());
    File kept(dup(file.get()));
    descriptor = file.get();
    control_ = std::make_shared<Control>(std::move(kept), size());
    const auto* address = &control_;
    std::memcpy(told.data(), static_cast<const void*>(&address), sizeof(address));
  }
  std::vector<Message> all = exchange(told, descriptor);
  if (!creates && mesh_->same_process(members_.front())) {
    const std::shared_ptr<Control>* address = nullptr;
    std::memcpy(static_cast<void*>(&address), all.front().bytes.data(), sizeof(address));
    control_ = *address;
  } else if (!creates) {
    if (!all.front().file.open()) {
      fail(ExitCode::kInternal, "{} sent no control memory", names_.front());
    }
    control_ = std::make_shared<Control>(std::move(all.front().file), size());
  }
  exchange("mapped");
}

std::unique_ptr<Group> Group::split(int color, int key) {
  std::string mine(2 * sizeof(int), '\0');
  std::memcpy(mine.data(), &color, sizeof(int));
  std::memcpy(mine.data() + sizeof(int), &key, sizeof(int));
  const std::vector<Message> all = exchange(mine);
  std::vector<std::pair<int, int>> order;  // key, rank here
  for (int other = 0; other < size(); ++other) {
    const std::string& bytes = all[static_cast<std::size_t>(other)].bytes;
    ensure(bytes.size() == mine.size(), "a color and a key from every rank");
    if (bytes.compare(0, sizeof(int), mine, 0, sizeof(int)) != 0) continue;
    int their_key = 0;
    std::memcpy(&their_key, bytes.data() + sizeof(int), sizeof(int));
    order.emplace_back(their_key, other);
  }
  std::ranges::sort(order);
  std::vector<int> members;
  std::vector<std::string> names;
  for (const auto& [unused, other] : order) {
    members.push_back(members_[static_cast<std::size_t>(other)]);
    names.push_back(name(other));
  }
  return std::make_unique<Group>(mesh_, std::move(members), std::move(names), regions_, timing_);
}

void Group::wait_asleep(const Signal& signal, std::uint32_t value, int peer,
                        const Waiting& waiting) const {
  const auto begin = Clock::now();
  const std::chrono::duration<double> timeout = timing_.timeout;
  Clock::time_point last_alive = begin;
  while (true) {
    std::chrono::nanoseconds time = kSlice;
    if (timeout.count() > 0) {
      const auto left =
          std::chrono::ceil<std::chrono::nanoseconds>(timeout - (Clock::now() - begin));
      time = std::clamp(left, std::chrono::nanoseconds{0}, time);
    }
    if (signal.sleep_until(value, time)) return;
    throw_if_given_up();
    const bool left = mesh_->has_left(members_[static_cast<std::size_t>(peer)]);
    // It may have signalled before it left.
    if (signal.reached(value)) return;
    if (!left) last_alive = Clock::now();
    if (Clock::now() - last_alive >= kGrace) {
      fail_waiting(fmt::format("{} has ended", name(peer)), waiting);
    }
    if (timeout.count() > 0 && Clock::now() - begin >= timeout) {
      fail_waiting(fmt::format("no answer from {} for {} s", name(peer), timeout.count()), waiting);
    }
  }
}

void Group::leave_word(ExitCode code) const {
  std::uint64_t none = 0;
  const std::uint64_t word =
      static_cast<std::uint64_t>(code) << 32 | (static_cast<std::uint64_t>(rank_) + 1);
  control_->failure().compare_exchange_strong(none, word);
}

void Group::throw_given_up() const {
  const std::uint64_t word = control_->failure().load();
  const auto rank = static_cast<std::size_t>((word & 0xffffffffU) - 1);
  const std::string who = rank < names_.size() ? names_[rank] : "a rank";
  throw Error(static_cast<ExitCode>(word >> 32),
              fmt::format("{} gave up, so that nothing can be exchanged with it any more: its own "
                          "message says why",
                          who));
}

void Group::fail_waiting(const std::string& reason, const Waiting& waiting) const {
  std::string arrived;
  std::string missing;
  for (int rank = 0; rank < size(); ++rank) {
    if (waiting.slot.desk(rank).step.reached(waiting.arrival)) {
      arrived += (arrived.empty() ? "" : ", ") + name(rank);
    } else {
      missing += (missing.empty() ? "" : "; ") + describe_rank(rank);
    }
  }
  if (missing.empty()) missing = "all have, but not all have finished";
  leave_word(ExitCode::kTimeout);
  fail(ExitCode::kTimeout,
       "{} in collective {}, {} ({} bytes), on {}. Arrived: {}. Not arrived: {}", reason,
       waiting.call.sequence, describe(waiting.call), waiting.call.bytes(), name(rank_), arrived,
       missing);
}

void Group::fail_mismatch(int peer, const Waiting& waiting) const {
  leave_word(ExitCode::kTimeout);
  fail(ExitCode::kTimeout, "ranks disagree: {} makes collective {}, {}, but {} makes {}",
       name(rank_), waiting.call.sequence, describe(waiting.call), name(peer),
       describe_desk(waiting.slot.desk(peer)));
}

std::string Group::describe_rank(int rank) const {
  const RankStatus& status = control_->status(rank);
  const std::uint64_t started = status.started.load();
  const std::uint64_t finished = status.finished.load();
  if (started == 0) return fmt::format("{}, which has begun no collective", name(rank));
  std::string call = fmt::format("collective {}", started - 1);
  const std::uint32_t number = status.slot.load();
  if (number < kLanes) {
    const Desk& desk = control_->slot(number).desk(rank);
    if (desk.sequence.load() == started - 1) call = describe_desk(desk);
  }
  if (finished == started) return fmt::format("{}, which has finished {}", name(rank), call);
  return fmt::format("{}, which is in {}", name(rank), call);
}

void Group::settle(std::uint64_t number) {
  static_assert(kLanes < kWindow);
  std::uint64_t word = settled_.load(std::memory_order_acquire);
  std::uint64_t settled = 0;
  do {
    std::uint64_t lowest = word >> kWindow;
    std::uint64_t done = word & ((std::uint64_t{1} << kWindow) - 1);
    done |= std::uint64_t{1} << (number - lowest);
    while ((done & 1U) != 0) {
      done >>= 1;
      ++lowest;
    }
    settled = lowest << kWindow | done;
  } while (!settled_.compare_exchange_weak(word, settled, std::memory_order_acq_rel));
}

void Group::note_settled(int peer, std::uint64_t settled) {
  auto& known = peers_settled_[static_cast<std::size_t>(peer)];
  if (settled > known.load(std::memory_order_relaxed)) {
    known.store(settled, std::memory_order_release);
  }
}

bool Group::all_settled(std::uint64_t number) const {
  if (settled() <= number) return false;
  for (int peer = 0; peer < size(); ++peer) {
    const auto& known = peers_settled_[static_cast<std::size_t>(peer)];
    if (peer != rank_ && known.load(std::memory_order_acquire) <= number) return false;
  }
  return true;
}

}  // namespace ingot::shm
