// What is told when the process ends: the counters of kernels (GPUSIM_REPORT), leaks, and exit
// status 86 where a problem was reported. report_problem itself is declared with the options.
#pragma once

#include <string>

#include "execute/engine.hpp"

namespace gpusim::report {

constexpr int kProblemExitStatus = 86;

/// Adds what one launch of a kernel did. Any thread.
void add(const std::string& kernel, int device, const KernelCounters& counters);

/// A function that finish() calls first: the runtime library waits for its streams and looks for
/// leaks there. It may report problems.
void before_finish(void (*callback)());

/// What the program ends with, once it does; 0 before.
int exit_status();

/// The process ends on a fault: exit_status() is kProblemExitStatus from now on.
void end_by_fault();

/// Prints the table and writes the file that GPUSIM_REPORT names; only the first call does. The
/// process's end calls it.
void finish();

}  // namespace gpusim::report
