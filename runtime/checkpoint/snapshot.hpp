// The part of the state that a rank saves, as it was at a step's end, in memory of its own: steps
// that follow may change the state while the copy is written.
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

  /// Copies this rank's part; blocks until it is copied. Other streams' work on the state must be
  /// done.
  void take(const StateView& state);
  /// What was copied, as a state that only this rank holds.
  const StateView& view() const { return view_; }
  std::int64_t bytes() const { return buffer_.bytes(); }

 private:
  Device& device_;
  int rank_;
  int ranks_;
  std::unique_ptr<Stream> stream_;
  Buffer buffer_;
  StateView view_;
};

}  // namespace ingot
