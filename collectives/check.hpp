// `collectives.check`: before each call the ranks of a communicator compare what they are about to
// call, so that one that calls something else is named instead of hanging or corrupting the others.
// Costs a blocking exchange per call; for finding bugs.
#pragma once

#include <memory>
#include <string>

#include "ops/base/error.hpp"

namespace ingot {

struct CollectiveCall;

/// Ranks call different things. Every rank of the communicator throws it, with the same text.
class CallMismatch final : public Error {
 public:
  explicit CallMismatch(const std::string& message) : Error(ExitCode::kTimeout, message) {}
};

/// Compares the calls of one communicator.
class CallCheck {
 public:
  virtual ~CallCheck() = default;
  /// Blocks until all ranks are about to make a call; throws CallMismatch where theirs differ in
  /// number, operation, type, size, root or label.
  virtual void compare(const CollectiveCall& call) = 0;
  /// The check of a part that is being split off. Collective, like Communicator::split().
  virtual std::unique_ptr<CallCheck> split(int color, int key) = 0;
};

}  // namespace ingot
