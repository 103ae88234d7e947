// Which device a rank computes on: the CPU, or the GPU of its place on the node. All ranks decide
// alike, from what all of them found.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ops/cuda_module.hpp"
#include "runtime/config/config.hpp"
#include "runtime/metrics/tuning.hpp"

namespace ingot {

/// Where a rank stands, and how ranks tell each other what they found.
struct DevicePlace {
  int rank = 0;
  int local_rank = 0;   ///< among the ranks of its node
  int local_ranks = 1;  ///< on its node
  std::string host;
  /// Every rank's text by rank; null for one rank alone.
  std::function<std::vector<std::string>(const std::string&)> all_gather;
};

struct DeviceChoice {
  bool cuda = false;
  int ordinal = 0;     ///< of the GPU
  std::string gpu;     ///< its name
  std::string isa;     ///< its compute capability, "sm_90"
  std::string reason;  ///< with device: auto, why it is the CPU
  std::vector<std::string> warnings;
  std::string numerics;  ///< of the GPU, for the fingerprint: "sm_90, cuBLASLt 13.1.0"
};

/// What one rank found, as the others are told. Exposed for tests.
struct RankFinding {
  std::string host;
  int local_rank = 0;
  int local_ranks = 1;
  GpuSurvey survey;
};

/// Decides from everybody's findings, equally on all ranks; `rank` is whose ordinal is wanted.
/// Throws Error(kEnvironment) where the configuration asks for what the machine does not have.
DeviceChoice decide_device(const Config& config, const std::vector<RankFinding>& findings,
                           int rank);

/// Looks for GPUs where the configuration may want them, and decides. Collective.
DeviceChoice choose_device(const Config& config, const DevicePlace& place);

/// Makes the chosen device and adds its kernels. `threads` is for the CPU.
std::unique_ptr<Device> open_device(const DeviceChoice& choice, Registry& registry, int threads,
                                    int local_ranks);

/// What free_bytes() says where the system does not tell.
constexpr std::int64_t kUnknownBytes = std::numeric_limits<std::int64_t>::max();
/// Bytes that a rank could still allocate on its device; of the CPU's memory, its share of what is
/// free.
std::int64_t free_bytes(const Device& device, int local_ranks);

/// The key of the device's figures in the tuning file: the GPU, or the CPU with so many threads.
MachineFigures machine_of(const DeviceChoice& choice, int threads);

}  // namespace ingot
