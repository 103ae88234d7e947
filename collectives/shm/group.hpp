// The ranks of one communicator on a node: their control memory, the memory they share, and how one
// waits for another.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "collectives/shm/control.hpp"
#include "collectives/shm/mesh.hpp"
#include "collectives/shm/regions.hpp"
#include "ops/base/error.hpp"

namespace ingot::shm {

struct Timing {
  std::chrono::duration<double> timeout{0};  ///< longest wait for a peer; 0: for ever
  std::chrono::nanoseconds spin{0};          ///< before a wait sleeps
};

class Group {
 public:
  /// Collective and blocking: the ranks `members` of the mesh, by rank of the group. `names` is
  /// what messages call them. Memory that `parent` shared is seen here too; null for none.
  Group(std::shared_ptr<Mesh> mesh, std::vector<int> members, std::vector<std::string> names,
        std::shared_ptr<Regions> parent, Timing timing);

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(members_.size()); }
  const std::string& name(int rank) const { return names_[static_cast<std::size_t>(rank)]; }
  const Timing& timing() const { return timing_; }
  Control& control() const { return *control_; }
  RankStatus& own_status() const { return control_->status(rank_); }
  /// A short message to everyone in the group, outside of steps; collective and blocking.
  std::vector<Message> exchange(const std::string& mine, int descriptor = -1) {
    return mesh_->exchange(members_, mine, descriptor);
  }
  /// The group of the ranks that pass the same color, ordered by key, then by rank.
  std::unique_ptr<Group> split(int color, int key);

  const std::shared_ptr<Regions>& regions() const { return regions_; }
  std::byte* resolve(int rank, Place place, std::int64_t bytes) const {
    return regions_->resolve(members_[static_cast<std::size_t>(rank)], place, bytes);
  }

  /// Waits for a peer's signal in a call whose slot and first step are given. Throws
  /// Error(kTimeout) where the peer is gone, does not come within the timeout, or has given up.
  struct Waiting {
    const CollectiveCall& call;
    const Slot& slot;
    std::uint32_t arrival;  ///< the step of those that have come to this call
  };
  void wait(const Signal& signal, std::uint32_t value, int peer, const Waiting& waiting) const {
    if (!signal.spin_until(value, timing_.spin)) wait_asleep(signal, value, peer, waiting);
  }
  /// Throws if a peer makes another call than this one.
  void check(int peer, const Waiting& waiting) const {
    if (!same_call(waiting.slot.desk(peer), waiting.call)) fail_mismatch(peer, waiting);
  }
  /// Leaves word for the peers that this rank gives up.
  void leave_word(ExitCode code) const;
  void throw_if_given_up() const {
    if (control_->failure().load(std::memory_order_relaxed) != 0) throw_given_up();
  }

  // Numbered calls: which ones ranks are done with, so that lanes are used again.
  /// A call begins only when its number is less than this above this rank's lowest open one.
  static constexpr unsigned kWindow = 16;
  /// Notes that this rank is done with call `number`, less than kWindow above the lowest open one.
  void settle(std::uint64_t number);
  /// This rank is done with all calls numbered below.
  std::uint64_t settled() const { return settled_.load(std::memory_order_acquire) >> kWindow; }
  /// Learns the same of a peer.
  void note_settled(int peer, std::uint64_t settled);
  /// Whether every rank is known to be done with this call.
  bool all_settled(std::uint64_t number) const;

  /// Where every rank is, for a reader at any time: "rank 1 has not come: it is in collective 4,
  /// barrier, step".
  std::string describe_rank(int rank) const;

 private:
  void wait_asleep(const Signal& signal, std::uint32_t value, int peer,
                   const Waiting& waiting) const;
  [[noreturn]] void fail_mismatch(int peer, const Waiting& waiting) const;
  [[noreturn]] void fail_waiting(const std::string& reason, const Waiting& waiting) const;
  [[noreturn]] void throw_given_up() const;

  std::shared_ptr<Mesh> mesh_;
  std::vector<int> members_;
  std::vector<std::string> names_;
  Timing timing_;
  int rank_ = 0;
  std::shared_ptr<Control> control_;  ///< one for all ranks of a process
  std::shared_ptr<Regions> regions_;
  /// The lowest open call, times 2^kWindow; below, bit i is set if the call i above that is done.
  std::atomic<std::uint64_t> settled_{0};
  std::vector<std::atomic<std::uint64_t>> peers_settled_;
};

}  // namespace ingot::shm
