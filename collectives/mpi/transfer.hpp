// Something that moves data between ranks step by step. The progress thread advances all transfers
// in turn; none of them ever blocks it.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>

#include "ops/device/cpu/sequence.hpp"

namespace ingot::mpi {

enum class Advance : std::uint8_t {
  kIdle,   ///< nothing could be done now
  kMoved,  ///< something was started or finished
  kDone    ///< the transfer is complete
};

class Transfer {
 public:
  virtual ~Transfer() = default;
  /// Does what can be done at once. Runs on the progress thread, the only one that calls MPI.
  virtual Advance advance() = 0;
  /// What it is and whom it waits for, in words, for an error about a peer that hangs.
  virtual std::string description() const = 0;
  /// Told on the progress thread that it failed, before anybody who waits for it is.
  virtual void note_failure() {}

 private:
  friend class ProgressThread;
  std::uint32_t posts_ = 0;   ///< times it was posted; written by the thread that posts
  cpu::Sequence done_;        ///< times it was completed
  std::exception_ptr error_;  ///< of the last time; read after done_
  std::chrono::steady_clock::time_point last_move_;
};

}  // namespace ingot::mpi
