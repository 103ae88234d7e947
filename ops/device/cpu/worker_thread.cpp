#include "ops/device/cpu/worker_thread.hpp"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace ingot::cpu {
namespace {

/// The kernel's struct sched_attr, first version; its own header cannot stand beside <sched.h>.
struct SchedulingAttributes {
  std::uint32_t size = 48;
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;  ///< nanoseconds of a turn
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};
static_assert(sizeof(SchedulingAttributes) == 48);

}  // namespace

void keep_openmp_on_this_thread() {
  using SetThreads = void (*)(int);
  // Looked up, not linked: OpenMP is here only if a library brought it.
  if (auto* set_threads =
          reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"))) {
    set_threads(1);
  }
}

void prepare_worker_thread(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  sigset_t signals;
  sigfillset(&signals);
  // An error of the thread itself must still end the process where it happened.
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) {
    sigdelset(&signals, fault);
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  keep_openmp_on_this_thread();
}

void prefer_prompt_wakeups() {
  // The kernel rounds short sleeps up by 50 microseconds unless told otherwise.
  prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
  // The length of a turn decides who is next: a woken thread with a shorter one than the running
  // thread's (3 milliseconds by default) preempts it, where else it would wait for the next tick.
  SchedulingAttributes attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.runtime = 100'000;  // the shortest that is allowed
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace ingot::cpu
