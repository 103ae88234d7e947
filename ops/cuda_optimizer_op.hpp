// The store of an optimizer op's arguments, for the factories of adamw, lion and sgd.
#pragma once

#include "ops/cuda_op.hpp"
#include "ops/cuda_optimizer.hpp"
#include "ops/optimizer.hpp"

namespace ingot::cuda {

inline FlatStore flat_store(const KernelArguments& arguments, std::size_t moments,
                            std::int64_t chunk) {
  FlatStore store;
  store.master = arguments.inputs[0].as<float>();
  store.gradient = arguments.inputs[1].as<float>();
  store.chunk_factors = arguments.inputs[2 + moments].as<float>();
  store.step = static_cast<const StepScalars*>(arguments.inputs[3 + moments].data);
  store.compute = optional<Bf16>(arguments.inputs, 4 + moments);
  store.chunks = arguments.inputs[0].count() / chunk;
  store.chunk = static_cast<int>(chunk);
  return store;
}

}  // namespace ingot::cuda
