// The counters of all kernels as a table and as JSON.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "execute/engine.hpp"

namespace gpusim::report {

using CountersByKernel = std::map<std::pair<std::string, int>, KernelCounters>;

/// The table that is printed on stderr: one row per kernel, devices added up.
std::string table(const CountersByKernel& counters);
/// The document of GPUSIM_REPORT: {"machine", "problems", "kernels": [{"name", "device", ...}],
/// "links", "graphs", "submitted"}.
std::string json(const CountersByKernel& counters);
/// Prints the table and, unless `path` is "-", writes the document. "%p" in the path stands for
/// the number of the process and "%r" for its rank, so that ranks do not overwrite each other.
void write_counters(const std::string& path);

}  // namespace gpusim::report
