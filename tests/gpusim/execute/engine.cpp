// One launch from request to outcome.
#include "execute/engine.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include "execute/context.hpp"
#include "execute/decode/decoder.hpp"
#include "execute/pool.hpp"
#include "execute/scheduler.hpp"

namespace gpusim {
namespace {

using execute::Launch;
using execute::Program;

/// Cooperative launches get a workspace whose second word is the grid's barrier.
class GridWorkspace {
 public:
  explicit GridWorkspace(const LaunchRequest& request) {
    if (!request.cooperative) return;
    constexpr std::uint64_t kBytes = 64;
    memory_ = AddressSpace::instance().allocate(kBytes, MemoryKind::kDevice, request.module->device,
                                                "grid barrier");
    if (memory_ == nullptr) return;
    std::memset(memory_->host, 0, kBytes);
    memory_->mark_initialised(memory_->begin, kBytes);
  }
  ~GridWorkspace() {
    if (memory_ != nullptr) AddressSpace::instance().release(*memory_);
  }
  GridWorkspace(const GridWorkspace&) = delete;
  GridWorkspace& operator=(const GridWorkspace&) = delete;
  std::uint64_t address() const { return memory_ == nullptr ? 0 : memory_->begin; }

 private:
  Allocation* memory_ = nullptr;
};

void fill_thread_index(Launch& launch) {
  const Dim3& block = launch.request->block;
  const std::size_t threads = (launch.threads + kLanes - 1) / kLanes * std::size_t{kLanes};
  for (auto& axis : launch.thread_index) axis.resize(threads);
  std::uint32_t x = 0, y = 0, z = 0;
  for (std::size_t t = 0; t < threads; ++t) {
    launch.thread_index[0][t] = x;
    launch.thread_index[1][t] = y;
    launch.thread_index[2][t] = z;
    if (++x == block.x) {
      x = 0;
      if (++y == block.y) {
        y = 0;
        ++z;
      }
    }
  }
}

KernelProperties properties_of(const Program& program) {
  KernelProperties result;
  result.static_shared_bytes = program.static_shared_bytes;
  result.local_bytes = program.local_words * 4;
  // ptxas keeps addresses and predicates in a few more; never fewer than 16.
  result.registers = std::clamp<std::uint32_t>(program.registers + 8, 16, 255);
  result.constant_bytes = program.constant_bytes;
  const auto& f = program.module->functions[static_cast<std::size_t>(program.entry)];
  const auto* limit = f.required_threads[0] != 0 ? f.required_threads : f.max_threads;
  if (limit[0] != 0) {
    result.max_threads = limit[0] * std::max(limit[1], 1u) * std::max(limit[2], 1u);
    // ptxas spills rather than let such a block, or several that are asked for, not fit. A warp
    // takes registers 256 at a time, that is, 8 for each lane.
    const std::uint32_t blocks = static_cast<std::uint32_t>(std::max(f.min_blocks, 1));
    const std::uint32_t warps = (result.max_threads + kLanes - 1) / kLanes * blocks;
    const std::uint32_t fitting = 65536 / std::max(warps, 1u) / kLanes / 8 * 8;
    result.registers = std::min(result.registers, std::max(fitting, 16u));
  }
  return result;
}

std::string kernel_name(const LaunchRequest& request) {
  return request.module->module->functions[static_cast<std::size_t>(request.function)].name;
}

}  // namespace

LaunchOutcome run_kernel(const LaunchRequest& request) {
  LaunchOutcome outcome;
  Launch launch;
  launch.request = &request;
  launch.options = options();
  launch.device = &machine().devices[static_cast<std::size_t>(request.module->device)];
  try {
    launch.program =
        &execute::program_of(*request.module->module, request.function, request.module->module);
    launch.code = &launch.program->main();
  } catch (const std::runtime_error& error) {
    outcome.fault = Fault::kIllegalInstruction;
    outcome.message = "kernel " + kernel_name(request) + ": " + error.what();
    return outcome;
  }
  launch.threads = request.block.x * request.block.y * request.block.z;
  launch.blocks = std::uint64_t{request.grid.x} * request.grid.y * request.grid.z;
  launch.cluster_blocks = request.cluster.x * request.cluster.y * request.cluster.z;
  outcome.counters.launches = 1;
  outcome.counters.threads = launch.blocks * launch.threads;
  if (launch.threads == 0 || launch.blocks == 0) return outcome;
  launch.shared_bytes = launch.program->dynamic_shared_offset + request.dynamic_shared_bytes;
  fill_thread_index(launch);
  const int per_multiprocessor = blocks_per_multiprocessor(
      properties_of(*launch.program), *launch.device, launch.threads, request.dynamic_shared_bytes);
  launch.resident_blocks = std::max<std::uint64_t>(
      launch.cluster_blocks, static_cast<std::uint64_t>(std::max(1, per_multiprocessor)) *
                                 static_cast<unsigned>(launch.device->multiprocessors));
  if (request.cooperative) launch.resident_blocks = launch.blocks;
  const GridWorkspace workspace(request);
  launch.grid_workspace = workspace.address();
  launch.last_progress_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                                std::chrono::steady_clock::now().time_since_epoch())
                                .count();
  if (launch.options.check_peers && peer_memory_tracked()) {
    launch.peers = std::make_unique<PeerLaunch>(request.module->device, request.enqueued);
  }
  execute::run_on_pool(launch);
  outcome.fault = launch.fault;
  outcome.message = std::move(launch.message);
  outcome.counters.add(launch.counters);
  outcome.accesses = std::move(launch.accesses);
  return outcome;
}

KernelProperties kernel_properties(const ptx::Module& module, int function) {
  return properties_of(execute::program_of(module, function));
}

int blocks_per_multiprocessor(const KernelProperties& kernel, const DeviceModel& device,
                              std::uint32_t threads, std::uint32_t dynamic_shared_bytes) {
  if (threads == 0) return 0;
  const std::uint32_t warps = (threads + kLanes - 1) / kLanes;
  const auto warp_limit = static_cast<std::uint32_t>(device.threads_per_multiprocessor) / kLanes;
  std::uint32_t blocks =
      std::min(static_cast<std::uint32_t>(device.blocks_per_multiprocessor), warp_limit / warps);
  // Registers are handed out to warps in units of 256.
  const std::uint32_t per_warp = (kernel.registers * kLanes + 255) / 256 * 256;
  if (per_warp != 0) {
    blocks = std::min(blocks, device.registers_per_multiprocessor / per_warp / warps);
  }
  const std::uint32_t shared =
      (kernel.static_shared_bytes + dynamic_shared_bytes + device.shared_reserved_per_block + 127) /
      128 * 128;
  if (shared != 0) blocks = std::min(blocks, device.shared_per_multiprocessor / shared);
  return static_cast<int>(blocks);
}

void KernelCounters::add(const KernelCounters& other) {
  launches += other.launches;
  threads += other.threads;
  warp_instructions += other.warp_instructions;
  lane_instructions += other.lane_instructions;
  global_load_bytes += other.global_load_bytes;
  global_store_bytes += other.global_store_bytes;
  global_load_requests += other.global_load_requests;
  global_store_requests += other.global_store_requests;
  global_load_sectors += other.global_load_sectors;
  global_store_sectors += other.global_store_sectors;
  shared_requests += other.shared_requests;
  shared_wavefronts += other.shared_wavefronts;
  local_bytes += other.local_bytes;
  atomics += other.atomics;
  barriers += other.barriers;
  tensor_instructions += other.tensor_instructions;
  tensor_flops += other.tensor_flops;
  divergent_branches += other.divergent_branches;
  for (const auto& [device, bytes] : other.remote) remote[device].add(bytes);
}

void KernelCounters::Remote::add(const Remote& other) {
  load_bytes += other.load_bytes;
  store_bytes += other.store_bytes;
  flag_loads += other.flag_loads;
  flag_stores += other.flag_stores;
}

}  // namespace gpusim
