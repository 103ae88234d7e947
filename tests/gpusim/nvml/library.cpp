// Initialisation, errors, versions and handles.
#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>

#include "nvml/nvml.hpp"

namespace gpusim::nvml {
namespace {

std::atomic<int> users{0};

}  // namespace

Result check() {
  return users.load() > 0 ? kSuccess : kUninitialized;
}

int index_of(Device device) {
  const auto& devices = machine().devices;
  if (devices.empty() || device < devices.data() || device >= devices.data() + devices.size()) {
    return -1;
  }
  return static_cast<int>(device - devices.data());
}

const InjectedFault* fault(const char* call, Device device) {
  for (const InjectedFault& fault : machine().faults) {
    if (fault.call == call && (fault.device < 0 || fault.device == index_of(device))) return &fault;
  }
  return nullptr;
}

Result check(Device device) {
  if (Result result = check(); result != kSuccess) return result;
  if (index_of(device) < 0) return kInvalidArgument;
  // Xid 79: the device has fallen off the bus.
  return fault("xid 79", device) != nullptr ? kGpuIsLost : kSuccess;
}

Result give_text(const char* text, char* target, unsigned length) {
  if (target == nullptr) return kInvalidArgument;
  if (std::strlen(text) + 1 > length) return kInsufficientSize;
  std::strcpy(target, text);
  return kSuccess;
}

namespace {

Result give_device(std::size_t index, Device* device) {
  if (Result result = check(); result != kSuccess) return result;
  if (device == nullptr || index >= machine().devices.size()) return kInvalidArgument;
  *device = &machine().devices[index];
  return kSuccess;
}

}  // namespace
}  // namespace gpusim::nvml

using namespace gpusim;
using namespace gpusim::nvml;

extern "C" {

int nvmlInit_v2() {
  if (machine().driver_version == 0) return kDriverNotLoaded;
  ++users;
  return kSuccess;
}
int nvmlInit() {
  return nvmlInit_v2();
}
int nvmlInitWithFlags(unsigned) {
  return nvmlInit_v2();
}

int nvmlShutdown() {
  if (Result result = check(); result != kSuccess) return result;
  --users;
  return kSuccess;
}

const char* nvmlErrorString(int result) {
  switch (result) {
    case kSuccess:
      return "The operation was successful";
    case kUninitialized:
      return "NVML was not first initialized with nvmlInit()";
    case kInvalidArgument:
      return "A supplied argument is invalid";
    case kNotSupported:
      return "The requested operation is not available on target device";
    case kNotFound:
      return "A query to find an object was unsuccessful";
    case kInsufficientSize:
      return "An input argument is not large enough";
    case kDriverNotLoaded:
      return "NVIDIA driver is not loaded";
    case kGpuIsLost:
      return "The GPU has fallen off the bus or has otherwise become inaccessible";
    default:
      return "An internal driver error occurred";
  }
}

int nvmlSystemGetDriverVersion(char* text, unsigned length) {
  if (Result result = check(); result != kSuccess) return result;
  const char* version = "580.65.06";
  if (machine().driver_version < 13000) version = "570.86.10";
  if (machine().driver_version < 12080) version = "525.60.13";
  return give_text(version, text, length);
}

int nvmlSystemGetNVMLVersion(char* text, unsigned length) {
  if (Result result = check(); result != kSuccess) return result;
  return give_text("13.580.65.06", text, length);
}

int nvmlSystemGetCudaDriverVersion_v2(int* version) {
  if (machine().driver_version == 0) return kDriverNotLoaded;
  if (version == nullptr) return kInvalidArgument;
  *version = machine().driver_version;
  return kSuccess;
}
int nvmlSystemGetCudaDriverVersion(int* version) {
  return nvmlSystemGetCudaDriverVersion_v2(version);
}

int nvmlDeviceGetCount_v2(unsigned* count) {
  if (Result result = check(); result != kSuccess) return result;
  if (count == nullptr) return kInvalidArgument;
  *count = static_cast<unsigned>(machine().devices.size());
  return kSuccess;
}
int nvmlDeviceGetCount(unsigned* count) {
  return nvmlDeviceGetCount_v2(count);
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device* device) {
  return give_device(index, device);
}
int nvmlDeviceGetHandleByIndex(unsigned index, Device* device) {
  return give_device(index, device);
}

int nvmlDeviceGetHandleByUUID(const char* uuid, Device* device) {
  if (Result result = check(); result != kSuccess) return result;
  if (uuid == nullptr) return kInvalidArgument;
  const auto& devices = machine().devices;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (devices[i].uuid == uuid) return give_device(i, device);
  }
  return kNotFound;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char* text, Device* device) {
  if (Result result = check(); result != kSuccess) return result;
  unsigned domain = 0, bus = 0, slot = 0;
  if (text == nullptr || std::sscanf(text, "%x:%x:%x", &domain, &bus, &slot) != 3) {
    return kInvalidArgument;
  }
  const auto& devices = machine().devices;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (domain == 0 && slot == 0 && static_cast<unsigned>(devices[i].pci_bus) == bus) {
      return give_device(i, device);
    }
  }
  return kNotFound;
}
int nvmlDeviceGetHandleByPciBusId(const char* text, Device* device) {
  return nvmlDeviceGetHandleByPciBusId_v2(text, device);
}

}  // extern "C"
