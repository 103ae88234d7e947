// Runs one kernel to its end on the calling thread and the workers it is given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "check/access_set.hpp"
#include "machine/machine.hpp"
#include "memory/address_space.hpp"
#include "ptx/module.hpp"

namespace gpusim {

struct Dim3 {
  std::uint32_t x = 1, y = 1, z = 1;
};

/// A linked module on one device: where its variables lie. Made by the runtime library at first
/// use.
struct ModuleInstance {
  std::shared_ptr<const ptx::Module> module;
  int device = 0;
  std::uint32_t number = 0;  ///< for code addresses, see kFunctionBase
  /// Per Module::variables: device address of .global and .const variables, 0 for .shared.
  std::vector<std::uint64_t> addresses;
};

/// What kernels of one name did, added up. Printed by GPUSIM_REPORT.
struct KernelCounters {
  std::uint64_t launches = 0;
  std::uint64_t threads = 0;
  std::uint64_t warp_instructions = 0;
  std::uint64_t lane_instructions = 0;
  std::uint64_t global_load_bytes = 0, global_store_bytes = 0;        ///< of active lanes
  std::uint64_t global_load_requests = 0, global_store_requests = 0;  ///< warp instructions
  std::uint64_t global_load_sectors = 0, global_store_sectors = 0;    ///< of 32 bytes
  std::uint64_t shared_requests = 0, shared_wavefronts = 0;           ///< equal: no bank conflicts
  std::uint64_t local_bytes = 0;
  std::uint64_t atomics = 0;
  std::uint64_t barriers = 0;  ///< per block
  std::uint64_t tensor_instructions = 0;
  double tensor_flops = 0;
  std::uint64_t divergent_branches = 0;
  /// Accesses to memory of another device or another process, by the device it lies on: bytes of
  /// plain loads and stores, which the counts of global memory hold too, and atomic, volatile,
  /// relaxed, acquiring and releasing accesses (flags) by their number.
  struct Remote {
    std::uint64_t load_bytes = 0, store_bytes = 0, flag_loads = 0, flag_stores = 0;
    void add(const Remote& other);
  };
  std::map<int, Remote> remote;
  void add(const KernelCounters& other);
};

enum class Fault : std::uint8_t {
  kNone,
  kIllegalAddress,      ///< cudaErrorIllegalAddress
  kMisaligned,          ///< cudaErrorMisalignedAddress
  kAssert,              ///< cudaErrorAssert
  kTrap,                ///< cudaErrorLaunchFailure
  kIllegalInstruction,  ///< cudaErrorIllegalInstruction; also: not supported by the simulator
  kDeadlock,            ///< cudaErrorLaunchTimeout
  kStackOverflow
};

struct LaunchRequest {
  const ModuleInstance* module = nullptr;
  int function = -1;  ///< into Module::functions, an entry
  Dim3 grid, block;
  Dim3 cluster;
  std::uint32_t dynamic_shared_bytes = 0;
  std::vector<std::byte> parameters;  ///< the block laid out as ptx::Function::parameters says
  bool cooperative = false;
  std::string stream_name;    ///< for reports
  std::int64_t enqueued = 0;  ///< when the host asked for it, ns of the monotonic clock
};

struct LaunchOutcome {
  Fault fault = Fault::kNone;
  std::string message;  ///< one line: kernel, source line, block and thread, what happened
  KernelCounters counters;
  AccessSet accesses;  ///< what it read and wrote, filled where the order of streams is checked
};

LaunchOutcome run_kernel(const LaunchRequest& request);

/// Writes what kernels of `device` have printed to stdout. Wherever the host synchronises with it.
void flush_device_output(int device);

/// What decoding a kernel tells without running it, for cudaFuncGetAttributes and occupancy.
struct KernelProperties {
  std::uint32_t static_shared_bytes = 0;  ///< without the 1 KiB that the system reserves
  std::uint32_t local_bytes = 0;
  std::uint32_t registers = 0;  ///< estimate, where no cubin tells
  std::uint32_t constant_bytes = 0;
  std::uint32_t max_threads = 1024;
};
/// Throws std::runtime_error naming the instruction where the kernel uses one that is unknown.
KernelProperties kernel_properties(const ptx::Module& module, int function);

/// Blocks of this kernel that fit one multiprocessor of the device at once.
int blocks_per_multiprocessor(const KernelProperties& kernel, const DeviceModel& device,
                              std::uint32_t threads, std::uint32_t dynamic_shared_bytes);

}  // namespace gpusim
