// Signals that ask a run to save. The handlers only set flags; the loop reads them between steps
// and all ranks agree through the step's sums, so that a signal to one rank acts on all.
//
//   SIGTERM, SIGINT (first), SIGUSR2   finish the step, save, exit 77
//   SIGUSR1                            save and go on
//   SIGINT (second)                    stop at once
#pragma once

namespace ingot {

class SignalRequests {
 public:
  /// Installs the handlers; the destructor restores the previous ones. One at a time per process:
  /// signal handlers can reach nothing but static memory. SIGTERM also writes 8 bytes to
  /// `termination`, an eventfd, where that is not -1: it may mean that a peer was lost, which the
  /// watchdog finds out.
  explicit SignalRequests(int termination = -1);
  ~SignalRequests();
  SignalRequests(const SignalRequests&) = delete;
  SignalRequests& operator=(const SignalRequests&) = delete;

  bool stop_requested() const;
  /// Whether a save was asked for since the last call.
  bool take_save_request();
};

}  // namespace ingot
