// Memory between processes: the importer opens the exporter's descriptors through /proc and maps
// the block's pages and shadow into ranges of its own. Both processes must run as the same user.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "machine/machine.hpp"
#include "memory/peer_shadow.hpp"
#include "memory/state.hpp"

namespace gpusim {
namespace {

constexpr std::uint64_t kMagic = 0x67707573696d0001;

/// Field 22 of /proc/PID/stat; 0 where there is no such process.
std::uint64_t start_time(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22 && fields >> field; ++i) {
  }
  return field.empty() ? 0 : std::strtoull(field.c_str(), nullptr, 10);
}

int open_descriptor(int process, int descriptor) {
  std::string path = "/proc/" + std::to_string(process) + "/fd/" + std::to_string(descriptor);
  return open(path.c_str(), O_RDWR | O_CLOEXEC);
}

}  // namespace

AddressSpace::PeerHandle AddressSpace::export_block(Allocation& block) const {
  PeerHandle handle;
  if (options().check_peers) {
    const std::lock_guard lock(state_->mutex);
    if (block.peer == nullptr) {
      block.peer = track_peer_memory(getpid(), PeerSegment::own_descriptor(),
                                     block.begin - kGlobalBase, block.bytes);
    }
    if (block.peer != nullptr) handle.order_descriptor = PeerSegment::own_descriptor();
  }
  struct stat status = {};
  fstat(state_->memory_descriptor, &status);
  handle.magic = kMagic;
  handle.process = getpid();
  handle.memory_descriptor = state_->memory_descriptor;
  handle.shadow_descriptor = state_->shadow_descriptor;
  handle.device = block.device;
  handle.offset = block.begin - kGlobalBase;
  handle.bytes = block.bytes;
  handle.start_time = start_time(handle.process);
  handle.inode = status.st_ino;
  return handle;
}

Allocation* AddressSpace::import_block(const PeerHandle& handle, std::string& why) {
  if (handle.magic != kMagic || handle.bytes == 0 || handle.bytes > kGlobalBytes ||
      handle.offset > kGlobalBytes - handle.bytes) {
    why = "this is not a handle of an allocation";
    return nullptr;
  }
  if (handle.process == getpid()) {
    why = "the handle was made by this very process";
    return nullptr;
  }
  if (start_time(handle.process) != handle.start_time) {
    why = "process " + std::to_string(handle.process) + ", which made the handle, has ended";
    return nullptr;
  }
  int memory = open_descriptor(handle.process, handle.memory_descriptor);
  int shadow = open_descriptor(handle.process, handle.shadow_descriptor);
  struct stat status = {};
  if (memory < 0 || shadow < 0 || fstat(memory, &status) != 0 || status.st_ino != handle.inode) {
    why = "cannot open the memory of process " + std::to_string(handle.process) + ": " +
          std::strerror(errno);
    if (memory >= 0) close(memory);
    if (shadow >= 0) close(shadow);
    return nullptr;
  }
  State& s = *state_;
  std::lock_guard lock(s.mutex);
  const std::uint64_t first = handle.offset / kBlockAlignment * kBlockAlignment;
  const std::uint64_t size =
      round_up(handle.offset - first + handle.bytes + kGuardBytes, kBlockAlignment);
  const std::uint64_t region = s.take_addresses(size);
  void* mapped = MAP_FAILED;
  if (region != 0) {
    mapped = mmap(s.host_of(region), size, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_FIXED | MAP_NORESERVE, memory, static_cast<off_t>(first));
    if (mapped != MAP_FAILED) {
      mapped = mmap(s.shadow_of(region), size / 8, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_FIXED | MAP_NORESERVE, shadow, static_cast<off_t>(first / 8));
    }
  }
  close(memory);
  close(shadow);
  if (mapped == MAP_FAILED) {
    why = "no addresses left for the memory of a peer";
    return nullptr;
  }
  auto* block = new Allocation;
  block->begin = region + (handle.offset - first);
  block->bytes = handle.bytes;
  block->kind = MemoryKind::kPeer;
  block->device = handle.device;
  block->host = s.host_of(block->begin);
  block->initialised = s.shadow_of(block->begin);
  if (handle.order_descriptor >= 0 && options().check_peers) {
    block->peer =
        track_peer_memory(handle.process, handle.order_descriptor, handle.offset, handle.bytes);
  }
  block->label = "memory of process " + std::to_string(handle.process);
  s.blocks[block->begin] = block;
  s.index.set(block->begin, block->bytes, block);
  return block;
}

}  // namespace gpusim
