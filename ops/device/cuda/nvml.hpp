// What the driver's management library knows about a GPU: whether it is cut into parts, who else
// computes on it, its memory errors. The library comes with the driver and is opened when it is
// needed; nvml.h is not part of every toolkit, so the few functions used are declared here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ingot::cuda {

struct NvmlFacts {
  bool mig = false;
  std::vector<unsigned> other_processes;
  std::int64_t uncorrected_errors = 0;
  std::string unknown;  ///< what could not be found out, in words; empty where all could
};

class Nvml {
 public:
  /// Opens libnvidia-ml.so.1; does not throw: facts() then says what is unknown.
  Nvml();
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  /// The GPU is looked up by its UUID, then by its place on the bus: ordinals of CUDA and NVML may
  /// differ.
  NvmlFacts facts(const std::string& uuid, const std::string& pci_bus_id) const;

 private:
  void* library_ = nullptr;
  std::string problem_;
};

}  // namespace ingot::cuda
