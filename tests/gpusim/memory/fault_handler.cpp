// SIGSEGV: the host touched memory of a device. The fault is raised by the very access, so the
// handler may look the block up; it names it with a backtrace and ends the process. Faults at other
// addresses go to the handler that was there before.
#include <execinfo.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "machine/machine.hpp"
#include "memory/state.hpp"
#include "report/report.hpp"

namespace gpusim {
namespace {

struct sigaction previous_action;

void chain(int signal, siginfo_t* info, void* context) {
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal, info, context);
  } else if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
    previous_action.sa_handler(signal);
  } else {
    // Back in place, the access faults again and the process ends as it would have.
    sigaction(SIGSEGV, &previous_action, nullptr);
  }
}

void on_fault(int signal, siginfo_t* info, void* context) {
  auto address = reinterpret_cast<std::uint64_t>(info->si_addr);
  if (address - kAddressBase >= (4ULL << 40)) return chain(signal, info, context);
  std::ostringstream text;
  text << "the host touched memory of a device: address 0x" << std::hex << address << " is "
       << AddressSpace::instance().describe(address);
  report_problem("host access", text.str());
  void* frames[32];
  int count = backtrace(frames, 32);
  if (count > 2) backtrace_symbols_fd(frames + 2, count - 2, STDERR_FILENO);
  switch (options().on_problem) {
    case Options::OnProblem::kExit:
      report::end_by_fault();
      report::finish();
      _exit(report::kProblemExitStatus);
    case Options::OnProblem::kAbort:
      std::abort();
    case Options::OnProblem::kContinue:
      chain(signal, info, context);
  }
}

}  // namespace

void install_fault_handler() {
  void* frame = nullptr;
  backtrace(&frame, 1);  // loads what it needs now, not inside the handler
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  sigaction(SIGSEGV, &action, &previous_action);
}

}  // namespace gpusim
