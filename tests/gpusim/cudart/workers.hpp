// Threads for the branches of graphs: as many as are needed at once, kept and reused.
#pragma once

#include <functional>

namespace gpusim::cudart {

/// Runs `job` on a thread of its own, at once: an idle one or a new one.
void run_on_worker(std::function<void()> job);

}  // namespace gpusim::cudart
