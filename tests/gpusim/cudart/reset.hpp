// cudaDeviceReset.
#pragma once

#include "cudart/runtime.hpp"

namespace gpusim::cudart {

/// Waits for the device's work and frees all that the program holds on it: memory, streams,
/// modules, peer access. Events and graphs stay as handles that refer to nothing.
void reset(Device& device);

}  // namespace gpusim::cudart
