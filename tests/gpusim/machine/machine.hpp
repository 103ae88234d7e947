// The simulated machine: number and kind of devices, their links, and faults to inject. Read from a
// YAML file named by GPUSIM_MACHINE (a path, or the name of a file in machines/); the default is a
// small device of 4 multiprocessors, as many as this node has ranks (OMPI_COMM_WORLD_LOCAL_SIZE,
// SLURM_NTASKS_PER_NODE), at least 1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gpusim {

struct DeviceModel {
  std::string name = "gpusim small";
  int architecture = 90;               ///< 80, 86, 89, 90, 100: compute capability times ten
  bool architecture_specific = false;  ///< runs sm_90a PTX
  int multiprocessors = 4;
  std::uint64_t memory_bytes = 2ULL << 30;
  std::uint32_t shared_per_multiprocessor = 228 * 1024;
  std::uint32_t shared_per_block = 48 * 1024;
  std::uint32_t shared_per_block_optin = 227 * 1024;
  std::uint32_t shared_reserved_per_block = 1024;
  std::uint32_t registers_per_multiprocessor = 65536;
  int threads_per_multiprocessor = 2048;
  int blocks_per_multiprocessor = 32;
  int l2_bytes = 50 << 20;
  int clock_khz = 1'000'000;
  int memory_clock_khz = 1'000'000;
  int memory_bus_bits = 4096;
  bool mig = false;
  std::string uuid;  ///< "GPU-xxxxxxxx-..." ; made from the index where the file gives none
  int pci_bus = 0;
  int numa_node = 0;
};

/// How two devices reach each other.
struct Link {
  int a = 0, b = 0;
  std::string kind = "nvlink";  ///< nvlink, pcie, host
  int lanes = 18;               ///< links of nvlink
  double gigabytes_per_second = 450;
  bool peer_access = true;
};

/// Injected trouble: at the n-th call of `call` on device `device`, return `error`.
struct InjectedFault {
  std::string call;  ///< "cudaMalloc", "kernel:NAME", "device lost", "ecc", "xid 79"
  int device = -1;   ///< -1: any
  std::uint64_t count = 1;
  int error = 0;  ///< cudaError_t
};

struct Machine {
  std::string name;
  int driver_version = 13000;  ///< as cudaDriverGetVersion says; 0: no driver
  std::vector<DeviceModel> devices;
  std::vector<Link> links;
  std::vector<InjectedFault> faults;
  bool pageable_memory_access = false;
  bool exclusive_process = false;  ///< compute mode
  int foreign_processes = 0;       ///< other processes seen by NVML on device 0
};

/// The machine of this process, read at first use. Errors of the file end the process with a
/// message that names file, line and column.
const Machine& machine();

/// What to look for and how, from the environment; see README.md for the variables.
struct Options {
  bool check_initialised = true;  ///< GPUSIM_CHECKS=all|none|list of initialised,races,streams,...
  bool check_races = true;
  bool check_streams = true;
  bool check_barriers = true;
  bool check_peers = true;  ///< order between processes in memory that they share
  bool check_leaks = true;
  bool count_sectors = true;      ///< sectors and bank conflicts
  std::uint64_t seed = 1;         ///< GPUSIM_SEED: delays and scheduling
  bool deterministic = false;     ///< GPUSIM_DETERMINISTIC=1: one worker, no random delays
  int workers = 0;                ///< GPUSIM_WORKERS; 0: cores / local ranks
  double delay_microseconds = 0;  ///< GPUSIM_DELAY: mean random delay before stream work
  double hang_seconds = 10;       ///< GPUSIM_HANG: no progress for so long is a deadlock
  std::string report;             ///< GPUSIM_REPORT=file.json; "-" prints the table only
  enum class OnProblem { kExit, kContinue, kAbort } on_problem = OnProblem::kExit;
};
const Options& options();

/// A problem that a detector found: printed at once on stderr behind "gpusim: ", counted, and, with
/// on_problem kExit, turned into exit status 86 when the process ends. The same text is printed
/// once.
void report_problem(const std::string& kind, const std::string& text);
std::uint64_t problems_reported();

}  // namespace gpusim
