// Saving while training goes on. At a step's end a stream begins to copy the rank's part of the
// state into a buffer that exists since the run began, and the next update waits for it; a thread
// of each rank writes the copy, rank 0's writes the manifest and renames the folder.
//
// The threads make no collective call, since those have an order that all ranks share. A rank
// instead votes in the sums that every step makes anyway whether its thread is done; in the step
// where all have voted, every rank calls advance(), which then blocks for nobody.
//
//   begin()      rank 0 makes the folder; the copy begins; threads wait for it and write the files
//   advance()    reports of all ranks go to rank 0, whose thread commits; the others are done
//   advance()    rank 0's outcome goes to all
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "runtime/checkpoint/save_steps.hpp"
#include "runtime/checkpoint/snapshot.hpp"
#include "runtime/config/config.hpp"

namespace ingot {

/// Whether a run saves in the background: where it saves more than once.
inline bool saves_in_background(const CheckpointConfig& config) {
  return config.async && config.every > 0;
}

class BackgroundSave {
 public:
  /// Allocates the buffer for states that are held as `state` is. The layout and the exchange
  /// outlive this object.
  BackgroundSave(SaveOptions options, Device& device, const StateView& state,
                 RankExchange& exchange);
  /// Stops a save that is under way, which is then as if it had never begun: its temporary folder
  /// is removed when the next run starts.
  ~BackgroundSave();
  BackgroundSave(const BackgroundSave&) = delete;
  BackgroundSave& operator=(const BackgroundSave&) = delete;

  bool busy() const { return phase_ != Phase::kIdle; }
  /// Whether this rank's thread has nothing to do any more of what advance() waits for.
  bool ready() const { return busy() && done_; }
  std::int64_t buffer_bytes() const { return snapshot_.bytes(); }

  /// Collective; none may be under way, and other streams' work on the state must be done. The
  /// state may change from copied() on. Every rank throws the same Error(kCannotWrite) where rank 0
  /// cannot make the folder.
  void begin(const StateView& state, const TrainingState& training);
  /// What streams that change the state wait for after begin().
  Event& copied() { return snapshot_.copied(); }
  /// Collective: the next move, for which it waits until every rank is ready(). The result once the
  /// save is complete. Every rank throws the same Error where any failed; the temporary folder is
  /// gone then, and what was there before is untouched.
  std::optional<SaveResult> advance();
  /// Collective: waits until the save is complete; nothing where none is under way.
  std::optional<SaveResult> finish();

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase : std::uint8_t { kIdle, kWriting, kCommitting };

  void start(Phase phase, std::function<Outcome()> work);
  void wait_for_all();
  SaveResult conclude();

  SaveOptions options_;
  RankExchange& exchange_;
  StateSnapshot snapshot_;
  SaveJob job_;
  Phase phase_ = Phase::kIdle;
  std::thread thread_;
  Outcome outcome_;  // the thread's, until it is joined
  std::atomic<bool> done_{false};
  std::mutex mutex_;
  std::condition_variable changed_;  // done_
  std::atomic<bool> cancelled_{false};
  Clock::time_point begun_;
  Clock::duration blocked_{};
};

}  // namespace ingot
