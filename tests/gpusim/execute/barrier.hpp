// Barriers of a block and of a cluster, and their accounting when threads exit.
#pragma once

#include "execute/context.hpp"

namespace gpusim::execute {

/// Group::barrier of lanes that wait at barrier.cluster.wait.
constexpr std::int32_t kClusterBarrier = -2;

/// Opens barriers that waited only for threads which have exited.
void threads_exited(Context& context);

/// Ends the phase of the cluster's barrier if all threads of all its blocks have arrived.
void cluster_progress(Context& context);

}  // namespace gpusim::execute
