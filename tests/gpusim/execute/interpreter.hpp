// Runs one warp until it cannot or should not go on.
#pragma once

#include <cstdint>

#include "execute/context.hpp"

namespace gpusim::execute {

enum class Turn : std::uint8_t {
  kDone,      ///< all its threads have exited
  kBlocked,   ///< every group waits for somebody else
  kSpinning,  ///< it looks for something that somebody else has to do
  kSlice,     ///< it has used its budget
  kFault
};

/// Runs `context.block`'s warp for about `budget` operations (looked at where it branches back).
Turn run_warp(Context& context, Warp& warp, std::int64_t budget);

/// Whether run_warp could do something.
bool runnable(const Warp& warp);

// What operations use to change the groups of the current warp.

/// Leaves only `mask` of the current group at its operation and lets the other lanes stand as a
/// group of their own at `pc`.
void split_off_rest(Context& context, LaneMask mask, std::int32_t pc);
/// Lanes that wait at barrier `barrier` of the block go on behind it.
void release_barrier(Warp& warp, std::int32_t barrier);
/// Parked groups whose missing lanes have come or exited go on.
void release_parked(Context& context, Warp& warp);
/// Lanes end. Barriers that waited for them may open.
void exit_lanes(Context& context, Warp& warp, LaneMask mask);

// control.cpp: calls.
void enter_call(Context& context, const Op& op, LaneMask mask);
void leave_call(Context& context, const Op& op, LaneMask mask);

}  // namespace gpusim::execute
