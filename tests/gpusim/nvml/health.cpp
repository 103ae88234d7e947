// Errors of memory: none, but for the fault "ecc" of the machine file, whose count is the number of
// uncorrected errors.
#include "nvml/nvml.hpp"

using namespace gpusim;
using namespace gpusim::nvml;

namespace {

constexpr int kUncorrected = 1;

unsigned long long errors(Device device, int kind) {
  const InjectedFault* injected = fault("ecc", device);
  return kind == kUncorrected && injected != nullptr ? injected->count : 0;
}

}  // namespace

extern "C" {

int nvmlDeviceGetEccMode(Device device, int* current, int* pending) {
  if (const Result result = give(device, pending, 1); result != kSuccess) return result;
  return give(device, current, 1);
}

int nvmlDeviceGetTotalEccErrors(Device device, int kind, int, unsigned long long* count) {
  if (Result result = check(device); result != kSuccess) return result;
  return give(device, count, errors(device, kind));
}

int nvmlDeviceGetMemoryErrorCounter(Device device, int kind, int, int location,
                                    unsigned long long* count) {
  if (Result result = check(device); result != kSuccess) return result;
  constexpr int kDeviceMemory = 2;
  return give(device, count, location == kDeviceMemory ? errors(device, kind) : 0);
}

int nvmlDeviceGetRetiredPages(Device device, int, unsigned* count, unsigned long long*) {
  return give(device, count, 0);
}

int nvmlDeviceGetRetiredPagesPendingStatus(Device device, int* pending) {
  return give(device, pending, 0);
}

int nvmlDeviceGetRemappedRows(Device device, unsigned* corrected, unsigned* uncorrected,
                              unsigned* pending, unsigned* failed) {
  if (Result result = check(device); result != kSuccess) return result;
  if (corrected == nullptr || uncorrected == nullptr || pending == nullptr || failed == nullptr) {
    return kInvalidArgument;
  }
  const bool damaged = errors(device, kUncorrected) > 0;
  *corrected = 0;
  *uncorrected = damaged ? 1 : 0;
  *pending = damaged ? 1 : 0;
  *failed = 0;
  return kSuccess;
}

}  // extern "C"
