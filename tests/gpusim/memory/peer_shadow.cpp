// The shared files: one per process, sparse, opened by others through /proc as the memory itself.
#include "memory/peer_shadow.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <mutex>

#include "memory/state.hpp"

namespace gpusim {
namespace {

constexpr std::uint64_t kRecordsAt = 1ULL << 31;
constexpr std::uint64_t kRecordsPerByte = sizeof(PeerRecord) / 4;
static_assert(sizeof(PeerSegment) < kRecordsAt);

std::atomic<bool> tracked{false};

PeerSegment* map_segment(int descriptor) {
  void* mapped = mmap(nullptr, sizeof(PeerSegment), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  if (mapped == MAP_FAILED) return nullptr;
  madvise(mapped, sizeof(PeerSegment), MADV_DONTDUMP);
  return static_cast<PeerSegment*>(mapped);
}

struct Own {
  int process = 0;
  int descriptor = -1;
  PeerSegment* segment = nullptr;
};

/// A forked child makes one of its own: the inherited one is its parent's.
Own& own_file() {
  static std::mutex* mutex = new std::mutex;
  static Own* own = new Own;
  const std::lock_guard lock(*mutex);
  if (own->process == getpid()) return *own;
  own = new Own;
  own->process = getpid();
  own->descriptor = memfd_create("gpusim order", MFD_CLOEXEC);
  if (own->descriptor < 0 ||
      ftruncate(own->descriptor, static_cast<off_t>(kRecordsAt + kGlobalBytes * kRecordsPerByte)) !=
          0) {
    return *own;
  }
  own->segment = map_segment(own->descriptor);
  if (own->segment == nullptr) return *own;
  own->segment->arena_used = 16;  // place 0 means none
  own->segment->places = 1;
  own->segment->participants[0].descriptor = own->descriptor;
  own->segment->participants[0].process = own->process;
  return *own;
}

int open_of(int process, int descriptor) {
  const std::string path = "/proc/" + std::to_string(process) + "/fd/" + std::to_string(descriptor);
  return open(path.c_str(), O_RDWR | O_CLOEXEC);
}

}  // namespace

std::uint64_t PeerAccess::pack() const {
  std::uint64_t packed = participant;
  packed = packed << 20 | launch % kLaunches;
  packed = packed << 12 | block;
  packed = packed << 5 | warp;
  packed = packed << 5 | lane;
  packed = packed << 16 | time;
  return packed << 1 | (strong ? 1 : 0);
}

PeerAccess PeerAccess::unpack(std::uint64_t packed) {
  PeerAccess access;
  const auto take = [&packed](int bits) {
    const auto value = static_cast<std::uint32_t>(packed & ((1ULL << bits) - 1));
    packed >>= bits;
    return value;
  };
  access.strong = take(1) != 0;
  access.time = take(16);
  access.lane = take(5);
  access.warp = take(5);
  access.block = take(12);
  access.launch = take(20);
  access.participant = take(5);
  return access;
}

PeerSegment* PeerSegment::own() {
  return own_file().segment;
}

int PeerSegment::own_descriptor() {
  return own_file().descriptor;
}

PeerSegment* PeerSegment::of_process(int process, int descriptor) {
  if (process == getpid()) return own();
  static std::mutex* mutex = new std::mutex;
  static auto* known = new std::map<int, PeerSegment*>;
  const std::lock_guard lock(*mutex);
  const auto found = known->find(process);
  if (found != known->end()) return found->second;
  const int opened = open_of(process, descriptor);
  if (opened < 0) return nullptr;
  PeerSegment* segment = map_segment(opened);
  close(opened);
  known->emplace(process, segment);
  return segment;
}

int PeerSegment::join() {
  const int process = getpid();
  for (int i = 0; i < kParticipants; ++i) {
    Participant& here = participants[static_cast<std::size_t>(i)];
    std::int32_t seen = here.process.load();
    // -1 while somebody fills it in.
    if (seen == 0 && here.process.compare_exchange_strong(seen, -1)) {
      here.descriptor = own_descriptor();
      here.process = process;
      return i;
    }
    if (seen == process) return i;
  }
  return -1;
}

void PeerSegment::lock(std::uint32_t which) {
  std::atomic<std::uint32_t>& word = locks[which];
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const auto start = now();
  for (unsigned tries = 0; word.exchange(1, std::memory_order_acquire) != 0; ++tries) {
    if (tries % 16 != 15) continue;
    sched_yield();
    // A process that was killed while it held the lock leaves it.
    if (tries % 1024 == 1023 && now() - start > std::chrono::seconds(5)) return;
  }
}

std::uint32_t PeerSegment::new_publication(std::uint32_t capacity) {
  const std::uint64_t words = sizeof(PeerPublication) / 4 + capacity;
  const std::uint64_t at = arena_used.fetch_add(words);
  if (at + words > kArenaWords) {
    exhausted = 1;
    return 0;
  }
  publication(static_cast<std::uint32_t>(at)).capacity = capacity;
  return static_cast<std::uint32_t>(at);
}

PeerTracking* track_peer_memory(int process, int descriptor, std::uint64_t offset,
                                std::uint64_t bytes) {
  PeerSegment* segment = PeerSegment::of_process(process, descriptor);
  if (segment == nullptr || PeerSegment::own() == nullptr) return nullptr;
  const int participant = segment->join();
  if (participant < 0) return nullptr;
  const std::uint64_t first = offset / kBlockAlignment * kBlockAlignment;
  const std::uint64_t size = round_up((offset - first + bytes) * kRecordsPerByte, kPageBytes);
  const bool mine = process == getpid();
  const int file = mine ? PeerSegment::own_descriptor() : open_of(process, descriptor);
  if (file < 0) return nullptr;
  void* mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file,
                      static_cast<off_t>(kRecordsAt + first * kRecordsPerByte));
  if (!mine) close(file);
  if (mapped == MAP_FAILED) return nullptr;
  madvise(mapped, size, MADV_DONTDUMP);
  auto* tracking = new PeerTracking;
  tracking->segment = segment;
  tracking->records = static_cast<PeerRecord*>(mapped) + (offset - first) / 4;
  tracking->owner_offset = offset;
  tracking->participant = participant;
  tracking->mapped = mapped;
  tracking->mapped_bytes = size;
  tracked = true;
  return tracking;
}

void forget_peer_memory(std::uint64_t offset, std::uint64_t bytes) {
  const std::uint64_t first = offset / kBlockAlignment * kBlockAlignment;
  fallocate(PeerSegment::own_descriptor(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
            static_cast<off_t>(kRecordsAt + first * kRecordsPerByte),
            static_cast<off_t>((offset - first + bytes) * kRecordsPerByte));
}

bool peer_memory_tracked() {
  return tracked.load(std::memory_order_relaxed);
}

}  // namespace gpusim
