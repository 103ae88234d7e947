#include "collectives/algorithms/direct/peer_memory_cuda.hpp"

#include <cuda_runtime_api.h>

#include <cstring>
#include <exception>
#include <fstream>
#include <utility>

#include "ops/device/cuda/check.hpp"

namespace ingot::direct {
namespace {

using cuda::check;

/// In front of what a rank offers; longer than a handle's alignment ever is.
constexpr std::int64_t kHeaderBytes = 256;
constexpr std::int64_t kPageBytes = 2 << 20;  ///< of a GPU's memory, as CUDA's manual names it

/// What a rank tells of its block. Plain bytes.
struct Offer {
  char boot[40] = {};      ///< tells machines apart that have the same host name
  std::uint64_t word = 0;  ///< the first of the block, for peers to try whether they can read it
  cudaIpcMemHandle_t handle = {};
  bool ready = false;
};

/// Unlike on every other machine, and after every other start of this one.
void read_boot(char (&boot)[40]) {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  file.read(boot, sizeof boot - 1);
}

std::string bytes_of(const Offer& offer) {
  return {reinterpret_cast<const char*>(&offer), sizeof offer};
}

/// The runtime keeps an error until it is asked for it.
std::string words_of(cudaError_t code) {
  (void)cudaGetLastError();
  return cudaGetErrorString(code);
}

}  // namespace

PeerMemory::PeerMemory(cuda::CudaDevice& device, Exchange exchange, int rank, int size)
    : device_(device),
      exchange_(std::move(exchange)),
      rank_(rank),
      blocks_(static_cast<std::size_t>(size), nullptr) {}

std::unique_ptr<PeerMemory> PeerMemory::create(cuda::CudaDevice& device, const Exchange& exchange,
                                               int rank, int size, std::int64_t bytes,
                                               std::int64_t zeros, std::string& refusal) {
  std::unique_ptr<PeerMemory> memory(new PeerMemory(device, exchange, rank, size));
  const std::string problem = memory->open(exchange(memory->offer(bytes, zeros)));
  for (const std::string& text : exchange(problem)) {
    if (refusal.empty()) refusal = text;
  }
  if (refusal.empty()) return memory;
  return nullptr;
}

/// The own block, allocated, cleared and exported.
std::string PeerMemory::offer(std::int64_t bytes, std::int64_t zeros) {
  device_.make_current();
  Offer offer;
  read_boot(offer.boot);
  void* block = nullptr;
  // Whole pages: CUDA puts smaller blocks of several owners into one, all of which peers would see.
  std::int64_t all = kHeaderBytes + bytes;
  if (bytes > 0) all = (all + kPageBytes - 1) / kPageBytes * kPageBytes;
  if (const cudaError_t code = cudaMalloc(&block, static_cast<std::size_t>(all));
      code != cudaSuccess) {
    (void)words_of(code);
    return bytes_of(offer);
  }
  bytes_ = bytes > 0 ? all : 0;
  blocks_[static_cast<std::size_t>(rank_)] = static_cast<std::byte*>(block) + kHeaderBytes;
  offer.word = 0x696e676f74000000U + static_cast<std::uint64_t>(rank_);
  check(cudaMemset(block, 0, static_cast<std::size_t>(kHeaderBytes + zeros)), "cudaMemset");
  check(cudaMemcpy(block, &offer.word, sizeof offer.word, cudaMemcpyHostToDevice), "cudaMemcpy");
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  const cudaError_t code = cudaIpcGetMemHandle(&offer.handle, block);
  offer.ready = code == cudaSuccess;
  if (!offer.ready) (void)words_of(code);
  return bytes_of(offer);
}

/// The peers' blocks. What went wrong in words, or nothing.
std::string PeerMemory::open(const std::vector<std::string>& offers) {
  ensure(offers.size() == blocks_.size(), "an offer of each rank");
  Offer mine;
  std::memcpy(&mine, offers[static_cast<std::size_t>(rank_)].data(), sizeof mine);
  for (std::size_t peer = 0; peer < offers.size(); ++peer) {
    Offer theirs;
    ensure(offers[peer].size() == sizeof theirs, "an offer of each rank");
    std::memcpy(&theirs, offers[peer].data(), sizeof theirs);
    if (!theirs.ready) return fmt::format("rank {} cannot export memory of its GPU", peer);
    if (static_cast<int>(peer) == rank_) continue;
    if (std::memcmp(mine.boot, theirs.boot, sizeof mine.boot) != 0) {
      return fmt::format("ranks {} and {} run on different machines", rank_, peer);
    }
    void* block = nullptr;
    const cudaError_t code =
        cudaIpcOpenMemHandle(&block, theirs.handle, cudaIpcMemLazyEnablePeerAccess);
    if (code != cudaSuccess) {
      return fmt::format("rank {} cannot reach the memory of rank {}'s GPU ({})", rank_, peer,
                         words_of(code));
    }
    blocks_[peer] = static_cast<std::byte*>(block) + kHeaderBytes;
    // Machines with an IOMMU in the way are known to claim peer access that reads nonsense.
    std::uint64_t word = 0;
    check(cudaMemcpy(&word, block, sizeof word, cudaMemcpyDeviceToHost), "cudaMemcpy");
    if (word != theirs.word) {
      return fmt::format(
          "rank {} reads something else in the memory of rank {}'s GPU than lies "
          "there: peer access does not work on this machine",
          rank_, peer);
    }
  }
  return {};
}

void PeerMemory::close() {
  device_.make_current();
  for (std::size_t peer = 0; peer < blocks_.size(); ++peer) {
    if (static_cast<int>(peer) == rank_ || blocks_[peer] == nullptr) continue;
    (void)cudaIpcCloseMemHandle(blocks_[peer] - kHeaderBytes);
  }
}

PeerMemory::~PeerMemory() {
  if (std::uncaught_exceptions() > 0) return;
  try {
    (void)exchange_({});  // everybody's last call is complete
    close();
    (void)exchange_({});  // nobody has this rank's block open, which it must not be when released
    if (own() != nullptr) (void)cudaFree(own() - kHeaderBytes);
  } catch (...) {
    // The job is ending because a rank is gone; its process gives the memory back.
  }
}

}  // namespace ingot::direct
