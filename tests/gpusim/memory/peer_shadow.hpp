// What processes that share device memory keep about it together, for the check of their order:
// per word who touched it last, and per flag what its writers have made known. It lies in a file of
// the process that owns the memory, which the others map like the memory itself.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "memory/address_space.hpp"

namespace gpusim {

/// Of one word of 4 bytes. `write` and `readers` are packed accesses, see PeerAccess.
struct PeerRecord {
  static constexpr int kReaders = 8;
  std::uint64_t write;
  std::uint64_t readers[kReaders];
  std::uint16_t places[kReaders + 1];  ///< the writer's first
  std::uint16_t unused;
  std::uint32_t publications;  ///< the first one's place in the arena; 0: none
};
static_assert(sizeof(PeerRecord) == 96);

/// Who accessed a word, in 64 bits; 0: nobody.
struct PeerAccess {
  std::uint32_t participant = 0;  ///< into PeerSegment::participants, 5 bits
  std::uint32_t launch = 0;       ///< 20 bits
  std::uint32_t block = 0;        ///< 12 bits
  std::uint32_t warp = 0;         ///< 5 bits
  std::uint32_t lane = 0;         ///< 5 bits
  std::uint32_t time = 0;         ///< 16 bits, never 0
  bool strong = false;            ///< atomic, volatile, relaxed, acquire, release

  static constexpr std::uint32_t kLaunches = 1u << 20, kBlocks = 1u << 12, kTimes = 1u << 16;
  std::uint64_t pack() const;
  static PeerAccess unpack(std::uint64_t packed);
};

/// What a flag's writer has made known.
struct PeerPublication {
  std::uint32_t next;  ///< place in the arena
  std::uint32_t process;
  std::int32_t device;
  std::uint32_t scope;
  std::uint32_t capacity, size;  ///< words of a PeerClock
  std::uint32_t words[];
};

/// The shared file of one process.
struct PeerSegment {
  static constexpr int kParticipants = 32;
  static constexpr std::uint32_t kLocks = 1024;
  static constexpr std::uint32_t kRing = 4096;
  static constexpr std::uint32_t kPlaces = 4096;
  static constexpr std::uint32_t kPlaceBytes = 192;
  static constexpr std::uint64_t kArenaWords = 1ULL << 27;

  struct Participant {
    std::atomic<std::int32_t> process;
    std::atomic<std::int32_t> descriptor;  ///< of its own segment
  };
  struct Launched {
    std::atomic<std::uint32_t> launch;
    std::atomic<std::int64_t> observed;  ///< when its host knew of the end; 0: not yet
  };

  std::array<Participant, kParticipants> participants;
  std::array<std::atomic<std::uint32_t>, kLocks> locks;
  std::atomic<std::uint32_t> launches;   ///< of this process so far
  std::atomic<std::uint32_t> exhausted;  ///< the arena is full: nothing is checked any more
  std::array<Launched, kRing> ring;      ///< by launch % kRing
  std::atomic<std::uint32_t> places;
  char place_text[kPlaces][kPlaceBytes];  ///< "kernel add at add.cu:12"; place 0 is unknown
  std::atomic<std::uint64_t> arena_used;  ///< words
  std::uint32_t arena[kArenaWords];

  /// That of this process, made at first use; null where the system has no room for it.
  static PeerSegment* own();
  static int own_descriptor();
  /// That of another process; null where it cannot be opened, as when it has ended.
  static PeerSegment* of_process(int process, int descriptor);

  /// This process's number among the participants; -1 with all in use.
  int join();
  void lock(std::uint32_t which);
  void unlock(std::uint32_t which) { locks[which].store(0, std::memory_order_release); }
  /// A fresh publication, not linked; 0 with the arena full.
  std::uint32_t new_publication(std::uint32_t capacity);
  PeerPublication& publication(std::uint32_t place) {
    return *reinterpret_cast<PeerPublication*>(arena + place);
  }
};

/// Of a block of memory that other processes can use, or that belongs to one.
struct PeerTracking {
  PeerSegment* segment = nullptr;  ///< of the owner
  PeerRecord* records = nullptr;   ///< of the block's first byte on
  std::uint64_t owner_offset = 0;  ///< of the block in the owner's memory, the same for everybody
  int participant = 0;             ///< this process in `segment`
  std::uint64_t mapped_bytes = 0;
  void* mapped = nullptr;
};

/// Maps the records of a block. `offset` is its place in the owner's memory. Null where that cannot
/// be done: nothing is checked then.
PeerTracking* track_peer_memory(int process, int descriptor, std::uint64_t offset,
                                std::uint64_t bytes);
/// The owner has freed the block.
void forget_peer_memory(std::uint64_t offset, std::uint64_t bytes);
/// Whether any memory is tracked in this process.
bool peer_memory_tracked();

}  // namespace gpusim
