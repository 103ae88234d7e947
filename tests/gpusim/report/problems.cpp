// Problems that detectors found, and the end of the process: status 86 where there was any.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "report/counters.hpp"
#include "report/report.hpp"

namespace gpusim {
namespace {

struct Problems {
  std::mutex mutex;
  std::set<std::string> printed;
  std::vector<void (*)()> callbacks;
  std::atomic<std::uint64_t> count{0};
  std::atomic<bool> finished{false};
};

Problems& problems() {
  static Problems* all = new Problems;
  return *all;
}

int owner_process = 0;  // a forked child ends without reports of its parent's work

int status_at_exit = 0;  // what the program gave to exit()
bool status_known = false;
bool unloading = false;

void end_process() {
  report::finish();
  if (problems_reported() > 0 && options().on_problem == Options::OnProblem::kExit) {
    std::fflush(nullptr);
    _exit(report::kProblemExitStatus);
  }
}

/// The end is the later of two calls, so that the program's exit handlers and static objects have
/// freed what they hold: where the library was there from the start, destructors of libraries run
/// before this handler; where it came with a plugin, behind it. It is never unloaded before that
/// (-z nodelete).
void on_exit_status(int status, void*) {
  status_at_exit = status;
  status_known = true;
  if (unloading && getpid() == owner_process) end_process();
}

__attribute__((constructor)) void remember_process() {
  owner_process = getpid();
  on_exit(on_exit_status, nullptr);
}

__attribute__((destructor)) void on_unload() {
  unloading = true;
  if (status_known && getpid() == owner_process) end_process();
}

}  // namespace

void report_problem(const std::string& kind, const std::string& text) {
  Problems& all = problems();
  {
    std::lock_guard lock(all.mutex);
    all.count.fetch_add(1);
    if (!all.printed.insert(kind + ": " + text).second) return;
  }
  const std::string line = "gpusim: " + kind + ": " + text + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
  if (options().on_problem == Options::OnProblem::kAbort) std::abort();
}

std::uint64_t problems_reported() {
  return problems().count.load();
}

namespace report {

int exit_status() {
  return status_at_exit;
}

void end_by_fault() {
  status_at_exit = kProblemExitStatus;
}

void before_finish(void (*callback)()) {
  std::lock_guard lock(problems().mutex);
  problems().callbacks.push_back(callback);
}

void finish() {
  Problems& all = problems();
  if (all.finished.exchange(true)) return;
  std::vector<void (*)()> callbacks;
  {
    std::lock_guard lock(all.mutex);
    callbacks = all.callbacks;
  }
  for (auto callback : callbacks) callback();
  if (!options().report.empty()) write_counters(options().report);
}

}  // namespace report
}  // namespace gpusim
