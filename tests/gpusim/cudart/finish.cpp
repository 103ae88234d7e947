// The end of the process. Waiting is bounded: a kernel may wait for a peer that is gone.
#include "cudart/finish.hpp"

#include <chrono>
#include <map>
#include <string>
#include <thread>

#include "cudart/runtime.hpp"
#include "memory/address_space.hpp"
#include "report/report.hpp"

namespace gpusim::cudart {
namespace {

constexpr auto kPatience = std::chrono::seconds(2);

bool all_idle(Runtime& runtime) {
  std::lock_guard lock(runtime.mutex);
  for (auto& device : runtime.devices) {
    if (device->legacy != nullptr && device->legacy->last != nullptr &&
        !device->legacy->last->ready()) {
      return false;
    }
    for (Stream* stream : device->streams) {
      if (stream->last != nullptr && !stream->last->ready()) return false;
    }
    for (const CompletionPointer& end : device->orphans) {
      if (!end->ready()) return false;
    }
  }
  return true;
}

void report_leaks() {
  struct Leak {
    std::uint64_t blocks = 0, bytes = 0;
    std::string first;
  };
  std::map<int, Leak> leaks;
  for (const Allocation* block : AddressSpace::instance().live()) {
    if (block->internal || block->kind == MemoryKind::kPeer) continue;
    Leak& leak = leaks[block->device];
    if (leak.blocks < 8) {
      leak.first += (leak.blocks == 0 ? "" : ", ") + block->label + " (" +
                    std::to_string(block->bytes) + " bytes)";
    } else if (leak.blocks == 8) {
      leak.first += ", ...";
    }
    ++leak.blocks;
    leak.bytes += block->bytes;
  }
  for (const auto& [device, leak] : leaks) {
    report_problem("leak", std::to_string(leak.blocks) + " blocks, " + std::to_string(leak.bytes) +
                               " bytes on device " + std::to_string(device) +
                               " were never freed: " + leak.first);
  }
}

void at_end() {
  Runtime& runtime = Runtime::instance();
  if (in_host_function()) return;
  const auto limit = std::chrono::steady_clock::now() + kPatience;
  bool idle = all_idle(runtime);
  while (!idle && std::chrono::steady_clock::now() < limit) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    idle = all_idle(runtime);
  }
  // A program that failed left by the shortest way: what it holds then is no leak.
  const bool failed = runtime.sticky() != cudaSuccess || report::exit_status() != 0;
  if (options().check_leaks && idle && !failed) report_leaks();
}

}  // namespace

void report_at_end() {
  report::before_finish(at_end);
}

}  // namespace gpusim::cudart
