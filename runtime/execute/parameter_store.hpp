// The parameter store of a run: the flat buffers that hold weights, gradients and optimizer state,
// whole or the rank's part of them, and how they start.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "runtime/execute/memory.hpp"

namespace ingot {

/// A flat f32 buffer that a checkpoint saves, and what it holds of the store.
struct SavedBuffer {
  std::string name;
  std::span<float> values;  ///< addresses of the device
  std::vector<ShardRange> held;
};

class ParameterStore {
 public:
  /// Allocates the buffers of store_buffers(); `optimizer` is null where nothing is trained.
  ParameterStore(StoreLayout layout, DType compute_type, Memory& memory,
                 const ParallelPlan& parallel = {}, const OptimizerConfig* optimizer = nullptr);

  /// Draws what the rank holds of the starting weights: element e of parameter p is a function of
  /// (seed, p, e) only, whatever the layout.
  void initialise(std::uint64_t seed);
  /// Makes compute weights follow the master weights, after those were set by the host. Where ranks
  /// keep compute weights of which they hold a part of the master only, they gather them by
  /// `group`, collectively; it may be null otherwise.
  void refresh_weights(Stream& stream, Communicator* group = nullptr);
  /// The rest of refresh_weights() alone, in the order of the stream: every rank's part has been
  /// updated.
  void gather_weights(Stream& stream, Communicator& group);
  /// The average, which was never updated, follows the master weights.
  void copy_to_average();

  const StoreLayout& layout() const { return layout_; }
  DType compute_type() const { return compute_type_; }
  std::vector<SavedBuffer> saved_state() const;
  float* master() const { return memory_.view(store::kMaster).as<float>(); }
  /// Null where the host may use these addresses itself; otherwise what it has to go through.
  HostTransfer* transfer() const {
    return memory_.device().host_visible() ? nullptr : &memory_.transfer();
  }

 private:
  void draw(std::size_t parameter, std::uint64_t seed, std::int64_t first,
            std::span<float> weights) const;
  void narrow(const float* from, Bf16* to, std::int64_t count) const;

  StoreLayout layout_;
  DType compute_type_;
  Memory& memory_;
  ParallelPlan parallel_;
  std::vector<ShardRange> master_ranges_;
  std::vector<std::string> state_;  // names of the optimizer's buffers
};

}  // namespace ingot
