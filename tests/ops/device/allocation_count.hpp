// Counts what the test program allocates through operator new, on any thread.
#pragma once

#include <cstdint>

namespace ingot::testing {

/// Allocations since the program began.
std::int64_t allocation_count();

}  // namespace ingot::testing
