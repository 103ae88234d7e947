#include "runtime/train/signals.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <utility>

namespace ingot {

namespace {

constexpr std::array kSignals = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2};

// All that an async-signal-safe handler may touch.
volatile std::sig_atomic_t stop_flag = 0;
volatile std::sig_atomic_t save_flag = 0;
volatile std::sig_atomic_t termination_descriptor = -1;
std::array<struct sigaction, kSignals.size()> previous;

extern "C" void on_signal(int signal) {
  if (signal == SIGUSR1) {
    save_flag = 1;
  } else {
    if (signal == SIGINT && stop_flag != 0) _exit(128 + SIGINT);
    stop_flag = 1;
    if (signal == SIGTERM && termination_descriptor >= 0) {
      const int error = errno;
      const std::uint64_t one = 1;
      (void)!write(termination_descriptor, &one, sizeof one);
      errno = error;
    }
  }
}

}  // namespace

SignalRequests::SignalRequests(int termination) {
  termination_descriptor = termination;
  stop_flag = 0;
  save_flag = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // reads and writes in flight are not cut short
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &previous[i]);
}

SignalRequests::~SignalRequests() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &previous[i], nullptr);
  }
  termination_descriptor = -1;
}

bool SignalRequests::stop_requested() const {
  return stop_flag != 0;
}

bool SignalRequests::take_save_request() {
  if (save_flag == 0) return false;
  save_flag = 0;
  return true;
}

}  // namespace ingot
