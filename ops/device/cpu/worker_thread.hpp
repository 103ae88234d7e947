// What every thread of the CPU device does before its first work.
#pragma once

#include <string>

namespace ingot::cpu {

/// Tells an OpenMP runtime in this process, if there is one, to use this thread alone for what this
/// thread calls: oneDNN may be built with OpenMP, and the threads of a rank are ingot's to count.
void keep_openmp_on_this_thread();

/// Names the calling thread for debuggers (15 characters are kept), leaves signals to the threads
/// that handle them, and keeps OpenMP on the thread.
void prepare_worker_thread(const std::string& name);

/// Asks the scheduler for short and prompt turns on the calling thread: for one that mostly sleeps,
/// does a little when woken, and shares its core with threads that compute. Needs no privilege; a
/// kernel before 6.12 ignores it. An all_reduce of 4 MB beside a computing thread on every core
/// took 6 to 16 ms with it and 31 to 64 ms without (Linux 6.18, 250 ticks a second).
void prefer_prompt_wakeups();

}  // namespace ingot::cpu
