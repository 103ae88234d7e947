// The part of NVML's interface that launchers and health checks use, declared by hand: nvml.h is
// not part of the CUDA toolkit. Numbers and layouts are those of the library's ABI. nvml.h maps
// several names to numbered ones (nvmlInit_v2); both are exported.
#pragma once

#include "machine/machine.hpp"

namespace gpusim::nvml {

enum Result : int {
  kSuccess = 0,
  kUninitialized = 1,
  kInvalidArgument = 2,
  kNotSupported = 3,
  kNotFound = 6,
  kInsufficientSize = 7,
  kDriverNotLoaded = 9,
  kGpuIsLost = 15,
  kUnknown = 999
};

struct PciInfo {
  char bus_id_legacy[16];
  unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
  char bus_id[32];
};

struct Memory {
  unsigned long long total, free, used;
};

struct Memory2 {
  unsigned version;
  unsigned long long total, reserved, free, used;
};

struct Utilization {
  unsigned gpu, memory;
};

struct ProcessInfo {
  unsigned pid;
  unsigned long long used_memory;
  unsigned gpu_instance, compute_instance;
};

/// nvmlDevice_t.
using Device = const DeviceModel*;

/// Whether calls are possible: initialised, the handle known, the device not lost.
Result check();
Result check(Device device);
int index_of(Device device);
/// Faults of the machine file that NVML shows: "ecc", "xid 79".
const InjectedFault* fault(const char* call, Device device);
/// The link between two devices, null for none.
const Link* link_between(int a, int b);

/// Copies with the terminating zero, or says that it does not fit.
Result give_text(const char* text, char* target, unsigned length);

/// The usual form of a query: a value of a device into a pointer.
template <typename T, typename Value>
Result give(Device device, T* target, Value value) {
  if (Result result = check(device); result != kSuccess) return result;
  if (target == nullptr) return kInvalidArgument;
  *target = static_cast<T>(value);
  return kSuccess;
}

}  // namespace gpusim::nvml
