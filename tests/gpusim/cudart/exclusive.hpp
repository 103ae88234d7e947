// Compute mode "exclusive process": the first process of a job that uses a device keeps it.
#pragma once

#include <string>

namespace gpusim::cudart {

/// False where another process of this job has the device.
bool take_exclusively(const std::string& uuid);

}  // namespace gpusim::cudart
