// Runs a trained gpt one position at a time with a KV cache. Prompts run through `prefill` programs
// of a few fixed lengths, further tokens through the `decode` program; which one runs is decided by
// the number of tokens alone.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ops/step_scalars.hpp"
#include "runtime/execute/executable.hpp"
#include "runtime/execute/parameter_store.hpp"
#include "runtime/model/model.hpp"

namespace ingot {

class Generator {
 public:
  /// Weights are zero until the caller fills store().master() and calls weights_changed().
  Generator(const ModelConfig& model, const ModelData& data, DType type, const Registry& registry,
            Device& device);

  ParameterStore& store() { return *store_; }
  void weights_changed() { store_->refresh_weights(*compute_); }

  /// Forgets everything that was fed.
  void reset();
  /// Feeds tokens behind those fed so far and returns the logits [vocabulary] of the last one,
  /// valid until the next call. When the context is full, generation goes on with the newer half of
  /// it: that half is fed again, at positions counted from its start. Tokens outside the vocabulary
  /// end with Error(kBadData), an empty span with kInternal.
  std::span<const float> feed(std::span<const std::uint32_t> tokens);
  /// Positions in the cache.
  std::int64_t length() const { return static_cast<std::int64_t>(history_.size()); }
  std::int64_t context() const { return context_; }

 private:
  struct Chunk {
    std::int64_t length;  ///< positions per run
    std::string suffix;   ///< of its buffers' names
    Executable executable;
  };

  void append(std::span<const std::uint32_t> tokens);
  void run(Chunk& chunk, std::span<const std::uint32_t> tokens);
  Chunk& chunk_for(std::int64_t tokens);

  Device& device_;
  Memory memory_;
  std::int64_t context_;
  std::int64_t vocabulary_;
  std::unique_ptr<Stream> compute_;
  std::unique_ptr<ParameterStore> store_;
  std::vector<Chunk> chunks_;  // by ascending length, the first is decode
  std::vector<std::uint32_t> history_;
  // Host memory of the device: what goes there and comes back.
  Buffer staged_tokens_;
  Buffer staged_positions_;
  Buffer staged_scalars_;
  Buffer logits_;
};

}  // namespace ingot
