#include "ops/device/cuda/nvml.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

namespace ingot::cuda {
namespace {

using NvmlDevice = void*;

constexpr int kSuccess = 0;
constexpr int kInsufficientSize = 7;
constexpr int kNotSupported = 3;

/// nvmlProcessInfo_t of the third version of its functions.
struct ProcessInfo {
  unsigned pid = 0;
  unsigned long long used_memory = 0;
  unsigned gpu_instance = 0;
  unsigned compute_instance = 0;
};

/// A function of the library by name, null where this version lacks it.
template <typename Function>
Function* symbol(void* library, const char* name) {
  return reinterpret_cast<Function*>(dlsym(library, name));
}

void note(std::string& unknown, const std::string& what) {
  unknown += (unknown.empty() ? "" : ", ") + what;
}

void find_mig(void* library, NvmlDevice device, NvmlFacts& facts) {
  auto* mode = symbol<int(NvmlDevice, unsigned*, unsigned*)>(library, "nvmlDeviceGetMigMode");
  unsigned current = 0;
  unsigned pending = 0;
  const int code = mode == nullptr ? kNotSupported : mode(device, &current, &pending);
  // GPUs that cannot be cut into parts say so.
  if (code == kSuccess) facts.mig = current != 0;
  if (code != kSuccess && code != kNotSupported) note(facts.unknown, "whether MIG is on");
}

void find_processes(void* library, NvmlDevice device, NvmlFacts& facts) {
  auto* list = symbol<int(NvmlDevice, unsigned*, ProcessInfo*)>(
      library, "nvmlDeviceGetComputeRunningProcesses_v3");
  unsigned count = 0;
  int code = list == nullptr ? kNotSupported : list(device, &count, nullptr);
  std::vector<ProcessInfo> processes;
  while (code == kInsufficientSize) {
    processes.resize(count + 8);  // more may start meanwhile
    count = static_cast<unsigned>(processes.size());
    code = list(device, &count, processes.data());
  }
  if (code != kSuccess) return note(facts.unknown, "which processes use it");
  processes.resize(count);
  const auto self = static_cast<unsigned>(getpid());
  for (const ProcessInfo& process : processes) {
    if (process.pid != self) facts.other_processes.push_back(process.pid);
  }
}

void find_errors(void* library, NvmlDevice device, NvmlFacts& facts) {
  auto* total = symbol<int(NvmlDevice, int, int, unsigned long long*)>(
      library, "nvmlDeviceGetTotalEccErrors");
  constexpr int kUncorrected = 1;
  constexpr int kVolatile = 0;  // since the driver was loaded
  unsigned long long errors = 0;
  // GPUs without error correction count nothing.
  if (total != nullptr && total(device, kUncorrected, kVolatile, &errors) == kSuccess) {
    facts.uncorrected_errors = static_cast<std::int64_t>(errors);
  }
}

}  // namespace

Nvml::Nvml() {
  library_ = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library_ == nullptr) {
    problem_ = dlerror();
    return;
  }
  auto* init = symbol<int()>(library_, "nvmlInit_v2");
  const int code = init == nullptr ? kNotSupported : init();
  if (code == kSuccess) return;
  problem_ = fmt::format("NVML does not start (code {})", code);
  dlclose(library_);
  library_ = nullptr;
}

Nvml::~Nvml() {
  if (library_ == nullptr) return;
  if (auto* shutdown = symbol<int()>(library_, "nvmlShutdown")) shutdown();
  dlclose(library_);
}

NvmlFacts Nvml::facts(const std::string& uuid, const std::string& pci_bus_id) const {
  NvmlFacts facts;
  if (library_ == nullptr) {
    facts.unknown = problem_;
    return facts;
  }
  NvmlDevice device = nullptr;
  for (const auto& [name, key] : {std::pair("nvmlDeviceGetHandleByUUID", &uuid),
                                  std::pair("nvmlDeviceGetHandleByPciBusId_v2", &pci_bus_id)}) {
    auto* find = symbol<int(const char*, NvmlDevice*)>(library_, name);
    if (find != nullptr && find(key->c_str(), &device) == kSuccess) break;
    device = nullptr;
  }
  if (device == nullptr) {
    facts.unknown = "NVML does not know this GPU";
    return facts;
  }
  find_mig(library_, device, facts);
  find_processes(library_, device, facts);
  find_errors(library_, device, facts);
  return facts;
}

}  // namespace ingot::cuda
