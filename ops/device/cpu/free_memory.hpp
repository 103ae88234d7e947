// How much memory this machine still has for processes like this one: what the kernel could give
// without swapping, or less where a control group (a container, a Slurm job) is limited to less.
#pragma once

#include <cstdint>
#include <string>

namespace ingot::cpu {

/// Bytes; the largest number where the system does not say. `root` stands for "/" in tests.
std::int64_t free_memory(const std::string& root = "");

}  // namespace ingot::cpu
