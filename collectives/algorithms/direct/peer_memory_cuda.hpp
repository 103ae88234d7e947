// Memory of each rank's GPU that all ranks of a group can read and write from their own GPUs: an
// allocation of its own, since CUDA exports whole allocations, and only those of cudaMalloc (not
// what ncclMemAlloc gives), opened by the peers through CUDA's inter-process handles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ops/device/cuda/cuda_device.hpp"

namespace ingot::direct {

/// Every rank's text, by rank; blocking and collective.
using Exchange = std::function<std::vector<std::string>(const std::string&)>;

class PeerMemory {
 public:
  /// `bytes` on each rank, the first `zeros` of which are zero. Collective: two exchanges, whatever
  /// comes of it. Null on all ranks where one cannot reach another's memory; `refusal` then says
  /// who and why.
  static std::unique_ptr<PeerMemory> create(cuda::CudaDevice& device, const Exchange& exchange,
                                            int rank, int size, std::int64_t bytes,
                                            std::int64_t zeros, std::string& refusal);
  /// Collective: two exchanges. Nobody uses the memory any more. While an exception is thrown it
  /// waits for nobody and leaves the memory to the end of the process.
  ~PeerMemory();
  PeerMemory(const PeerMemory&) = delete;
  PeerMemory& operator=(const PeerMemory&) = delete;

  std::byte* of(int rank) const { return blocks_[static_cast<std::size_t>(rank)]; }
  std::byte* own() const { return of(rank_); }
  std::int64_t bytes() const { return bytes_; }  ///< of the rank's own GPU that are taken

 private:
  PeerMemory(cuda::CudaDevice& device, Exchange exchange, int rank, int size);
  std::string offer(std::int64_t bytes, std::int64_t zeros);
  std::string open(const std::vector<std::string>& offers);
  void close();

  cuda::CudaDevice& device_;
  Exchange exchange_;
  int rank_;
  std::vector<std::byte*> blocks_;  ///< by rank
  std::int64_t bytes_ = 0;
};

}  // namespace ingot::direct
