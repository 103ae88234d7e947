// What a device is and how it stands: names, memory, clocks, temperature, processes. A simulated
// device is idle and cool; memory and processes are those of this process and of the machine file.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "memory/address_space.hpp"
#include "nvml/nvml.hpp"

using namespace gpusim;
using namespace gpusim::nvml;

namespace {

constexpr unsigned long long kForeignMemory = 512ULL << 20;
constexpr unsigned kForeignProcess = 4'000'000;  // above the kernel's usual limit of numbers

unsigned long long foreign_memory(Device device) {
  const bool there = index_of(device) == 0 && machine().foreign_processes > 0;
  return there ? kForeignMemory * static_cast<unsigned>(machine().foreign_processes) : 0;
}

std::vector<ProcessInfo> processes(Device device) {
  std::vector<ProcessInfo> result;
  const unsigned long long own = AddressSpace::instance().used(index_of(device));
  if (own > 0) result.push_back({static_cast<unsigned>(getpid()), own, ~0U, ~0U});
  for (int i = 0; index_of(device) == 0 && i < machine().foreign_processes; ++i) {
    result.push_back({kForeignProcess + static_cast<unsigned>(i), kForeignMemory, ~0U, ~0U});
  }
  return result;
}

Result give_processes(Device device, unsigned* count, ProcessInfo* list) {
  if (Result result = check(device); result != kSuccess) return result;
  if (count == nullptr) return kInvalidArgument;
  const std::vector<ProcessInfo> all = processes(device);
  const auto room = *count;
  *count = static_cast<unsigned>(all.size());
  if (all.size() > room) return kInsufficientSize;
  if (!all.empty() && list == nullptr) return kInvalidArgument;
  std::copy(all.begin(), all.end(), list);
  return kSuccess;
}

}  // namespace

extern "C" {

int nvmlDeviceGetName(Device device, char* text, unsigned length) {
  if (Result result = check(device); result != kSuccess) return result;
  return give_text(device->name.c_str(), text, length);
}

int nvmlDeviceGetUUID(Device device, char* text, unsigned length) {
  if (Result result = check(device); result != kSuccess) return result;
  return give_text(device->uuid.c_str(), text, length);
}

int nvmlDeviceGetSerial(Device device, char* text, unsigned length) {
  if (Result result = check(device); result != kSuccess) return result;
  const std::string serial = "16000000000" + std::to_string(10 + index_of(device));
  return give_text(serial.c_str(), text, length);
}

int nvmlDeviceGetIndex(Device device, unsigned* index) {
  return give(device, index, index_of(device));
}

int nvmlDeviceGetMinorNumber(Device device, unsigned* number) {
  return give(device, number, index_of(device));
}

int nvmlDeviceGetBrand(Device device, int* brand) {
  return give(device, brand, 0);
}

int nvmlDeviceGetArchitecture(Device device, unsigned* architecture) {
  if (Result result = check(device); result != kSuccess) return result;
  unsigned value = 7;  // Ampere
  if (device->architecture == 89) value = 8;
  if (device->architecture >= 90) value = 9;
  if (device->architecture >= 100) value = 10;
  return give(device, architecture, value);
}

int nvmlDeviceGetCudaComputeCapability(Device device, int* major, int* minor) {
  if (Result result = check(device); result != kSuccess) return result;
  if (minor == nullptr) return kInvalidArgument;
  *minor = device->architecture % 10;
  return give(device, major, device->architecture / 10);
}

int nvmlDeviceGetNumGpuCores(Device device, unsigned* cores) {
  if (Result result = check(device); result != kSuccess) return result;
  const int per_multiprocessor = device->architecture == 80 ? 64 : 128;
  return give(device, cores, device->multiprocessors * per_multiprocessor);
}

int nvmlDeviceGetPciInfo_v3(Device device, PciInfo* info) {
  if (Result result = check(device); result != kSuccess) return result;
  if (info == nullptr) return kInvalidArgument;
  *info = {};
  info->bus = static_cast<unsigned>(device->pci_bus);
  info->pci_device_id = 0x10de;
  info->pci_subsystem_id = 0x10de;
  std::snprintf(info->bus_id_legacy, sizeof(info->bus_id_legacy), "0000:%02X:00.0", info->bus);
  std::snprintf(info->bus_id, sizeof(info->bus_id), "00000000:%02X:00.0", info->bus);
  return kSuccess;
}
int nvmlDeviceGetPciInfo_v2(Device device, PciInfo* info) {
  return nvmlDeviceGetPciInfo_v3(device, info);
}
int nvmlDeviceGetPciInfo(Device device, PciInfo* info) {
  return nvmlDeviceGetPciInfo_v3(device, info);
}

int nvmlDeviceGetMemoryInfo(Device device, Memory* memory) {
  if (Result result = check(device); result != kSuccess) return result;
  if (memory == nullptr) return kInvalidArgument;
  memory->total = device->memory_bytes;
  memory->used = AddressSpace::instance().used(index_of(device)) + foreign_memory(device);
  memory->used = std::min(memory->used, memory->total);
  memory->free = memory->total - memory->used;
  return kSuccess;
}

int nvmlDeviceGetMemoryInfo_v2(Device device, Memory2* memory) {
  Memory plain = {};
  if (const int result = nvmlDeviceGetMemoryInfo(device, &plain); result != kSuccess) return result;
  if (memory == nullptr) return kInvalidArgument;
  memory->total = plain.total;
  memory->reserved = 0;
  memory->free = plain.free;
  memory->used = plain.used;
  return kSuccess;
}

int nvmlDeviceGetUtilizationRates(Device device, Utilization* utilization) {
  return give(device, utilization, Utilization{foreign_memory(device) > 0 ? 50U : 0U, 0});
}

int nvmlDeviceGetTemperature(Device device, int, unsigned* degrees) {
  return give(device, degrees, 35);
}

int nvmlDeviceGetTemperatureThreshold(Device device, int, unsigned* degrees) {
  return give(device, degrees, 90);
}

int nvmlDeviceGetPowerUsage(Device device, unsigned* milliwatts) {
  return give(device, milliwatts, 70'000);
}

int nvmlDeviceGetEnforcedPowerLimit(Device device, unsigned* milliwatts) {
  return give(device, milliwatts, 400'000);
}
int nvmlDeviceGetPowerManagementLimit(Device device, unsigned* milliwatts) {
  return nvmlDeviceGetEnforcedPowerLimit(device, milliwatts);
}

int nvmlDeviceGetTotalEnergyConsumption(Device device, unsigned long long* millijoules) {
  return give(device, millijoules, 0);
}

int nvmlDeviceGetFanSpeed(Device device, unsigned*) {
  if (Result result = check(device); result != kSuccess) return result;
  return kNotSupported;
}

int nvmlDeviceGetClockInfo(Device device, int type, unsigned* megahertz) {
  if (Result result = check(device); result != kSuccess) return result;
  return give(device, megahertz, (type == 2 ? device->memory_clock_khz : device->clock_khz) / 1000);
}
int nvmlDeviceGetMaxClockInfo(Device device, int type, unsigned* megahertz) {
  return nvmlDeviceGetClockInfo(device, type, megahertz);
}
int nvmlDeviceGetApplicationsClock(Device device, int type, unsigned* megahertz) {
  return nvmlDeviceGetClockInfo(device, type, megahertz);
}

int nvmlDeviceGetCurrentClocksEventReasons(Device device, unsigned long long* reasons) {
  return give(device, reasons, 1);  // idle
}
int nvmlDeviceGetCurrentClocksThrottleReasons(Device device, unsigned long long* reasons) {
  return nvmlDeviceGetCurrentClocksEventReasons(device, reasons);
}

int nvmlDeviceGetPerformanceState(Device device, int* state) {
  return give(device, state, 0);
}

int nvmlDeviceGetPersistenceMode(Device device, int* mode) {
  return give(device, mode, 1);
}

int nvmlDeviceGetComputeMode(Device device, int* mode) {
  return give(device, mode, machine().exclusive_process ? 3 : 0);
}

int nvmlDeviceGetMigMode(Device device, unsigned* current, unsigned* pending) {
  if (Result result = check(device); result != kSuccess) return result;
  // Only the large devices of the servers can be cut into parts.
  const bool possible =
      device->architecture == 80 || device->architecture == 90 || device->architecture >= 100;
  if (!possible) return kNotSupported;
  if (current == nullptr || pending == nullptr) return kInvalidArgument;
  *current = *pending = device->mig ? 1 : 0;
  return kSuccess;
}

int nvmlDeviceIsMigDeviceHandle(Device device, unsigned* is) {
  return give(device, is, 0);
}

int nvmlDeviceGetMaxMigDeviceCount(Device device, unsigned* count) {
  if (Result result = check(device); result != kSuccess) return result;
  return give(device, count, device->mig ? 7 : 0);
}

int nvmlDeviceGetComputeRunningProcesses_v3(Device device, unsigned* count, ProcessInfo* list) {
  return give_processes(device, count, list);
}
int nvmlDeviceGetComputeRunningProcesses_v2(Device device, unsigned* count, ProcessInfo* list) {
  return give_processes(device, count, list);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(Device device, unsigned* count, ProcessInfo*) {
  return give(device, count, 0);
}

int nvmlDeviceGetNumaNodeId(Device device, unsigned* node) {
  if (Result result = check(device); result != kSuccess) return result;
  return give(device, node, device->numa_node);
}

int nvmlDeviceGetMemoryAffinity(Device device, unsigned words, unsigned long* set, unsigned) {
  if (Result result = check(device); result != kSuccess) return result;
  if (words == 0 || set == nullptr) return kInvalidArgument;
  std::fill(set, set + words, 0UL);
  const auto node = static_cast<unsigned>(device->numa_node);
  if (node / 64 < words) set[node / 64] |= 1UL << (node % 64);
  return kSuccess;
}

int nvmlDeviceGetCpuAffinity(Device device, unsigned words, unsigned long* set) {
  if (Result result = check(device); result != kSuccess) return result;
  if (words == 0 || set == nullptr) return kInvalidArgument;
  // The simulated nodes of the machine are not those of this host: every processor is near.
  std::fill(set, set + words, 0UL);
  const long processors = sysconf(_SC_NPROCESSORS_ONLN);
  for (long i = 0; i < processors && i / 64 < static_cast<long>(words); ++i) {
    set[i / 64] |= 1UL << (i % 64);
  }
  return kSuccess;
}

int nvmlDeviceGetMaxPcieLinkGeneration(Device device, unsigned* generation) {
  if (Result result = check(device); result != kSuccess) return result;
  return give(device, generation, device->architecture >= 90 ? 5 : 4);
}
int nvmlDeviceGetCurrPcieLinkGeneration(Device device, unsigned* generation) {
  return nvmlDeviceGetMaxPcieLinkGeneration(device, generation);
}
int nvmlDeviceGetMaxPcieLinkWidth(Device device, unsigned* width) {
  return give(device, width, 16);
}
int nvmlDeviceGetCurrPcieLinkWidth(Device device, unsigned* width) {
  return give(device, width, 16);
}

}  // extern "C"
