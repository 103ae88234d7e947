// The memory that simulated programs see. Device addresses lie in a range reserved without access,
// so that the host faults when it touches them; the same pages are mapped once more, readable and
// writable, at a constant distance for the simulator. Pinned and managed memory come from the same
// range and are accessible at their own address too. Backed by memfd, so that a peer process can
// map it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gpusim {

struct PeerTracking;

enum class MemoryKind : std::uint8_t { kDevice, kPinned, kManaged, kRegistered, kPeer };

/// One block of memory that a program allocated. Objects are never destroyed while the process
/// lives: a freed one stays findable (and its addresses unused) so that a late access can be named.
struct Allocation {
  std::uint64_t begin = 0;
  std::uint64_t bytes = 0;
  MemoryKind kind = MemoryKind::kDevice;
  int device = 0;             ///< where it lies (kPinned: the device current at allocation)
  std::byte* host = nullptr;  ///< where the simulator reads and writes `begin`
  /// One bit per byte: was it ever written? Null where not tracked. Word i covers bytes
  /// [begin + 64 i, begin + 64 i + 64). Shared with peer processes like the memory itself.
  std::atomic<std::uint64_t>* initialised = nullptr;
  std::atomic<bool> live{true};
  std::string label;       ///< "cudaMalloc #12", "variable counter"
  bool read_only = false;  ///< .const variables
  bool internal = false;   ///< not the program's (variables of modules): no leak
  /// Where other processes can use it too: see peer_shadow.hpp.
  std::atomic<const PeerTracking*> peer{nullptr};
  bool exportable = true;  ///< false: ncclMemAlloc's, of which the driver gives no IPC handle

  bool contains(std::uint64_t address, std::uint64_t count) const {
    return address >= begin && count <= bytes && address - begin <= bytes - count;
  }
  std::byte* at(std::uint64_t address) const { return host + (address - begin); }
  void mark_initialised(std::uint64_t address, std::uint64_t count) const;
  bool is_initialised(std::uint64_t address, std::uint64_t count) const;
};

/// Windows of the generic address space, inside the reserved range: a generic access tests address
/// bits 40 and up once. Global addresses lie between kGlobalBase and kGlobalEnd.
constexpr std::uint64_t kAddressBase = 0x2000'0000'0000;
constexpr std::uint64_t kGlobalBase = kAddressBase;
constexpr std::uint64_t kGlobalEnd = kAddressBase + (1ULL << 40);
constexpr std::uint64_t kSharedWindow =
    kAddressBase + (2ULL << 40);                                     ///< + block slot * kSharedSlot
constexpr std::uint64_t kSharedSlot = 256 * 1024;                    ///< bytes per block slot
constexpr std::uint64_t kLocalWindow = kAddressBase + (3ULL << 40);  ///< + thread's local offset
/// Fake code addresses: function i of a module instance has kFunctionBase + (instance << 24) + 16
/// i.
constexpr std::uint64_t kFunctionBase = 0x1000'0000'0000;

class AddressSpace {
 public:
  /// The one of this process; created at first use, never destroyed.
  static AddressSpace& instance();

  /// Null with `device`'s memory exhausted. Fresh device memory is poisoned and uninitialised;
  /// pinned and managed memory is zero. Aligned to 512 bytes, with a gap to the next block.
  Allocation* allocate(std::uint64_t bytes, MemoryKind kind, int device, std::string label);
  void release(Allocation& allocation);
  /// The live or freed block that holds `address`, else null. Callable from any thread, lock-free.
  Allocation* find(std::uint64_t address) const;
  /// Ordinary host memory that cudaHostRegister made known.
  Allocation* register_host(void* data, std::uint64_t bytes, int device);
  /// "4 bytes behind the end of cudaMalloc #12 (1024 bytes)", "inside cudaMalloc #3, freed", or
  /// "no memory of a device": for reports about an address that may not be used.
  std::string describe(std::uint64_t address) const;

  /// What a peer process needs to map a block: see import_block. Valid while the block lives.
  struct PeerHandle {
    std::uint64_t magic = 0;
    std::int32_t process = 0;
    std::int32_t memory_descriptor = 0;  ///< in the exporting process
    std::int32_t shadow_descriptor = 0;
    std::int32_t device = 0;
    std::int32_t order_descriptor = -1;  ///< -1: the order of accesses is not checked
    std::int32_t unused = 0;
    std::uint64_t offset = 0;  ///< of the block in the memory descriptor
    std::uint64_t bytes = 0;
    std::uint64_t start_time = 0;  ///< of the process, against reuse of its number
    std::uint64_t inode = 0;       ///< of the memory descriptor
  };
  PeerHandle export_block(Allocation& allocation) const;
  /// Maps a block of another process; kind kPeer. Null with `why` where that cannot be done.
  Allocation* import_block(const PeerHandle& handle, std::string& why);

  std::uint64_t used(int device) const;
  std::vector<Allocation*> live() const;  ///< for leak reports
  /// The descriptor behind device, pinned and managed memory.
  int descriptor() const;

 private:
  AddressSpace();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gpusim
