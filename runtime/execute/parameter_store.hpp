// The parameter store of a run: the flat buffers that hold weights, gradients and optimizer state,
// and how they start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/execute/memory.hpp"

namespace ingot {

class ParameterStore {
 public:
  /// Allocates master and compute weights in `memory`. In f32 both are the same memory.
  ParameterStore(StoreLayout layout, DType compute_type, Memory& memory);
  /// Adds what training needs: gradients, the optimizer's state, the chunk factors.
  void allocate_training_state(const OptimizerConfig& optimizer);

  /// Draws the starting weights: element e of parameter p is a function of (seed, p, e) only,
  /// whatever the layout.
  void initialise(std::uint64_t seed);
  /// Makes compute weights (and the average, while it was never updated) follow the master weights,
  /// after those were set by the host.
  void refresh_weights(Stream& stream);
  void copy_to_average();

  const StoreLayout& layout() const { return layout_; }
  DType compute_type() const { return compute_type_; }
  /// Flat f32 buffers that a checkpoint saves, by name; addresses of the device.
  std::vector<std::pair<std::string, float*>> saved_state() const;
  float* master() const { return memory_.view(store::kMaster).as<float>(); }
  /// Null where the host may use these addresses itself; otherwise what it has to go through.
  HostTransfer* transfer() const {
    return memory_.device().host_visible() ? nullptr : &memory_.transfer();
  }

 private:
  void draw(std::size_t parameter, std::uint64_t seed, float* weights) const;

  StoreLayout layout_;
  DType compute_type_;
  Memory& memory_;
  std::vector<std::string> state_;  // names of the optimizer's buffers
};

}  // namespace ingot
