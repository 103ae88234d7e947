// The part of the state that a rank saves, as it was at a step's end, in memory of its own: steps
// that follow may change the state while the copy is written. The copying is work of a stream of
// its own, so that a GPU computes the next step's gradients meanwhile; only what changes the state
// waits.
#pragma once

#include <cstdint>
#include <memory>

#include "ops/device/device.hpp"
#include "runtime/checkpoint/state.hpp"

namespace ingot {

/// Bytes of a snapshot of this rank's part. Nothing need be allocated: the buffers of `state` are
/// not looked at and may be empty.
std::int64_t snapshot_bytes(const StateView& state, int rank, int ranks);

class StateSnapshot {
 public:
  /// Allocates host memory (CUDA: pinned) for states that are held as `state` is.
  StateSnapshot(Device& device, const StateView& state, int rank, int ranks);

  /// Begins to copy this rank's part, after an earlier copy's end. Other streams' work on the state
  /// must be done, and what changes the state is ordered behind copied().
  void take(const StateView& state);
  Event& copied() { return *copied_; }
  /// Blocks until it is copied, from any thread; throws what went wrong.
  void wait();
  /// What is copied, as a state that only this rank holds; its values are there after wait().
  const StateView& view() const { return view_; }
  std::int64_t bytes() const { return buffer_.bytes(); }

 private:
  Device& device_;
  int rank_;
  int ranks_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Event> copied_;
  Buffer buffer_;
  StateView view_;
};

}  // namespace ingot
