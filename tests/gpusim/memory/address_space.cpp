// Allocation, release and lookup. Addresses of freed blocks are not used again until the whole
// range has been handed out once, so that use after free is named and not silent.
#include "memory/address_space.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "machine/machine.hpp"
#include "memory/peer_shadow.hpp"
#include "memory/state.hpp"

namespace gpusim {
namespace {

// Larger blocks are not filled: their pages would all be touched. The shadow tells there.
constexpr std::uint64_t kPoisonLimit = 1 << 20;
// A NaN in f32, f16 and bf16, and -1 as an index.
constexpr int kPoison = 0xFF;

bool host_visible(MemoryKind kind) {
  return kind == MemoryKind::kPinned || kind == MemoryKind::kManaged;
}

std::uint64_t capacity(int device) {
  const Machine& m = machine();
  if (device < 0 || device >= static_cast<int>(m.devices.size())) return ~0ULL;
  return m.devices[static_cast<std::size_t>(device)].memory_bytes;
}

}  // namespace

AddressSpace::AddressSpace() : state_(std::make_unique<State>()) {
  map_address_space(state_->memory_descriptor, state_->shadow_descriptor, state_->alias,
                    state_->shadow);
  install_fault_handler();
}

AddressSpace& AddressSpace::instance() {
  static AddressSpace* space = new AddressSpace;
  return *space;
}

int AddressSpace::descriptor() const {
  return state_->memory_descriptor;
}

std::uint64_t AddressSpace::State::take_addresses(std::uint64_t bytes) {
  if (bytes > kGlobalBytes) return 0;
  bytes = round_up(bytes, kBlockAlignment);
  if (kGlobalEnd - next >= bytes) {
    std::uint64_t begin = next;
    next += bytes;
    return begin;
  }
  for (auto it = freed.begin(); it != freed.end(); ++it) {
    Allocation* old = *it;
    std::uint64_t begin = old->begin / kBlockAlignment * kBlockAlignment;
    std::uint64_t size = round_up(old->begin - begin + old->bytes + kGuardBytes, kBlockAlignment);
    if (size < bytes) continue;
    freed.erase(it);
    blocks.erase(old->begin);
    index.set(old->begin, old->bytes, nullptr);
    return begin;
  }
  return 0;
}

Allocation* AddressSpace::allocate(std::uint64_t bytes, MemoryKind kind, int device,
                                   std::string label) {
  State& s = *state_;
  bytes = std::max<std::uint64_t>(bytes, 1);
  std::lock_guard lock(s.mutex);
  const bool counted = kind == MemoryKind::kDevice;
  std::uint64_t limit = capacity(device);
  if (counted && (bytes > limit || s.used[device] > limit - bytes)) return nullptr;
  const std::uint64_t offset = host_visible(kind) ? 0 : kDeviceOffset;
  const std::uint64_t region = s.take_addresses(offset + bytes + kGuardBytes);
  if (region == 0) return nullptr;

  auto* block = new Allocation;
  block->begin = region + offset;
  block->bytes = bytes;
  block->kind = kind;
  block->device = device;
  block->host = s.host_of(block->begin);
  block->label = std::move(label);
  if (host_visible(kind)) {
    void* mapped = mmap(reinterpret_cast<void*>(region), round_up(bytes, kPageBytes),
                        PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
                        s.memory_descriptor, static_cast<off_t>(region - kGlobalBase));
    if (mapped == MAP_FAILED) {
      delete block;
      return nullptr;
    }
  } else {
    block->initialised = s.shadow_of(block->begin);
    if (bytes <= kPoisonLimit) std::memset(block->host, kPoison, bytes);
  }
  if (counted) s.used[device] += bytes;
  s.blocks[block->begin] = block;
  s.index.set(block->begin, block->bytes, block);
  return block;
}

void AddressSpace::release(Allocation& block) {
  State& s = *state_;
  std::lock_guard lock(s.mutex);
  if (!block.live.exchange(false)) return;
  if (block.kind == MemoryKind::kRegistered) {
    std::vector<Allocation*> left = *s.registered.load();
    std::erase(left, &block);
    s.publish_registered(std::move(left));
    s.unregistered.push_back(&block);
    return;
  }
  if (block.kind == MemoryKind::kDevice) s.used[block.device] -= block.bytes;
  const std::uint64_t first = block.begin / kBlockAlignment * kBlockAlignment;
  const std::uint64_t size =
      round_up(block.begin - first + block.bytes + kGuardBytes, kBlockAlignment);
  if (block.kind == MemoryKind::kPeer) {
    // The pages belong to another process: only its mapping goes, the empty own file comes back.
    mmap(s.host_of(first), size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
         s.memory_descriptor, static_cast<off_t>(first - kGlobalBase));
    mmap(s.shadow_of(first), size / 8, PROT_READ | PROT_WRITE,
         MAP_SHARED | MAP_FIXED | MAP_NORESERVE, s.shadow_descriptor,
         static_cast<off_t>((first - kGlobalBase) / 8));
  } else {
    if (host_visible(block.kind)) {
      mmap(reinterpret_cast<void*>(first), round_up(block.bytes, kPageBytes), PROT_NONE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    }
    // Back to the system. What a late reader finds is zero; the range check names it first.
    fallocate(s.memory_descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
              static_cast<off_t>(first - kGlobalBase), static_cast<off_t>(size));
    fallocate(s.shadow_descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
              static_cast<off_t>((first - kGlobalBase) / 8), static_cast<off_t>(size / 8));
    if (block.peer != nullptr) forget_peer_memory(block.begin - kGlobalBase, block.bytes);
  }
  s.freed.push_back(&block);
}

Allocation* AddressSpace::find(std::uint64_t address) const {
  if (address - kGlobalBase < kGlobalBytes) {
    Allocation* block = state_->index.find(address);
    return block != nullptr && block->contains(address, 1) ? block : nullptr;
  }
  const auto* registered = state_->registered.load(std::memory_order_acquire);
  if (registered == nullptr) return nullptr;
  auto after = std::upper_bound(
      registered->begin(), registered->end(), address,
      [](std::uint64_t value, const Allocation* block) { return value < block->begin; });
  if (after == registered->begin()) return nullptr;
  Allocation* block = *std::prev(after);
  return block->contains(address, 1) ? block : nullptr;
}

Allocation* AddressSpace::register_host(void* data, std::uint64_t bytes, int device) {
  State& s = *state_;
  std::lock_guard lock(s.mutex);
  auto* block = new Allocation;
  block->begin = reinterpret_cast<std::uint64_t>(data);
  block->bytes = bytes;
  block->kind = MemoryKind::kRegistered;
  block->device = device;
  block->host = static_cast<std::byte*>(data);
  block->label = "memory given to cudaHostRegister";
  std::vector<Allocation*> all;
  if (const auto* old = s.registered.load()) all = *old;
  auto place = std::upper_bound(
      all.begin(), all.end(), block,
      [](const Allocation* a, const Allocation* b) { return a->begin < b->begin; });
  all.insert(place, block);
  s.publish_registered(std::move(all));
  return block;
}

std::uint64_t AddressSpace::used(int device) const {
  std::lock_guard lock(state_->mutex);
  auto found = state_->used.find(device);
  return found == state_->used.end() ? 0 : found->second;
}

std::vector<Allocation*> AddressSpace::live() const {
  std::lock_guard lock(state_->mutex);
  std::vector<Allocation*> result;
  for (const auto& [begin, block] : state_->blocks) {
    if (block->live) result.push_back(block);
  }
  if (const auto* registered = state_->registered.load()) {
    result.insert(result.end(), registered->begin(), registered->end());
  }
  return result;
}

std::string AddressSpace::describe(std::uint64_t address) const {
  std::lock_guard lock(state_->mutex);
  const auto& blocks = state_->blocks;
  std::ostringstream text;
  auto name = [&](const Allocation& block) {
    text << block.label << " (" << block.bytes << " bytes) of device " << block.device
         << (block.live ? "" : ", which has been freed");
  };
  auto after = blocks.upper_bound(address);
  if (after != blocks.begin()) {
    const Allocation& before = *std::prev(after)->second;
    const std::uint64_t past = address - before.begin;
    if (past < before.bytes) {
      text << "byte " << past << " of ";
      name(before);
      return text.str();
    }
    bool nearer = after == blocks.end() || past - before.bytes <= after->first - address;
    if (address - kGlobalBase < kGlobalBytes && nearer && past - before.bytes < (1ULL << 30)) {
      text << past - before.bytes << " bytes behind the end of ";
      name(before);
      return text.str();
    }
  }
  if (after != blocks.end() && after->first - address < (1ULL << 30)) {
    text << after->first - address << " bytes before the start of ";
    name(*after->second);
    return text.str();
  }
  if (address < 4096) return "a null pointer";
  if (address - kAddressBase >= (4ULL << 40)) return "ordinary host memory, unknown to any device";
  return "no memory of a device";
}

}  // namespace gpusim
