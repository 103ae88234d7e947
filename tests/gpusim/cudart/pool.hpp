// Stream-ordered allocation: memory that exists from one point of a stream to another. Every block
// is its own, at addresses that are not used again, so a use outside its time is found: before the
// allocation or after the free as a fault or as missing order between streams.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "cudart/operation.hpp"
#include "memory/address_space.hpp"

namespace gpusim::cudart {

struct Device;

struct MemoryPool {
  int device = 0;  ///< of the machine
  bool is_default = false;
  std::map<int, int> flags;  ///< cudaMemPoolAttr of type int
  std::uint64_t release_threshold = 0;
  std::atomic<std::uint64_t> used{0}, used_high{0};
  cudaMemPool_t handle() { return reinterpret_cast<cudaMemPool_t>(this); }
};

MemoryPool& default_pool(Device& device);
/// Memory from a pool may be given to cudaFree too: keeps its account.
void forget_pooled(const Allocation& block);

/// The point of a stream or graph from which on a block exists.
class AllocateOperation : public Operation {
 public:
  AllocateOperation(Allocation* block, cudaMemPoolProps properties)
      : block_(block), properties_(properties) {}
  Outcome run(const RunContext& context) const override;
  cudaGraphNodeType type() const override { return cudaGraphNodeTypeMemAlloc; }
  std::string name() const override { return "cudaMallocAsync"; }
  Allocation* block() const { return block_; }
  const cudaMemPoolProps& properties() const { return properties_; }

 private:
  Allocation* block_;
  cudaMemPoolProps properties_;
};

/// The point from which on it does not. In a graph the block stays for the next replay.
class FreeOperation : public Operation {
 public:
  FreeOperation(Allocation* block, bool in_graph) : block_(block), in_graph_(in_graph) {}
  Outcome run(const RunContext& context) const override;
  void finish() const override;
  cudaGraphNodeType type() const override { return cudaGraphNodeTypeMemFree; }
  std::string name() const override { return "cudaFreeAsync"; }
  Allocation* block() const { return block_; }

 private:
  Allocation* block_;
  bool in_graph_;
};

/// A block from a pool, waiting for pending frees where memory is short.
Allocation* allocate_pooled(MemoryPool& pool, std::size_t bytes, const char* label);

}  // namespace gpusim::cudart
