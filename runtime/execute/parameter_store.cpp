#include "runtime/execute/parameter_store.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

#include "ops/base/philox.hpp"

namespace ingot {

namespace {

/// Box and Muller's transform of two uniform numbers; one of the pair is used.
float normal(std::uint64_t seed, std::uint64_t parameter, std::uint64_t element) {
  const auto words = philox(seed, RandomPurpose::kInitialise, parameter, element);
  const double u = 1.0 - uniform_double(words[0], words[1]);  // in (0, 1]: its logarithm is finite
  const double v = uniform_double(words[2], words[3]);
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v));
}

}  // namespace

ParameterStore::ParameterStore(StoreLayout layout, DType compute_type, Memory& memory)
    : layout_(std::move(layout)), compute_type_(compute_type), memory_(memory) {
  const Shape flat{layout_.elements};
  memory_.allocate(store::kMaster, {DType::kF32, flat});
  if (compute_type_ == DType::kF32) {
    memory_.alias(store::kWeights, store::kMaster);
  } else {
    memory_.allocate(store::kWeights, {compute_type_, flat});
  }
}

void ParameterStore::allocate_training_state(const OptimizerConfig& optimizer) {
  const Shape flat{layout_.elements};
  memory_.allocate(store::kGradients, {DType::kF32, flat});
  state_ = optimizer_state(optimizer);
  for (const std::string& name : state_) memory_.allocate(name, {DType::kF32, flat});
  const std::vector<float> factors = chunk_factors(layout_, optimizer);
  const TensorView view =
      memory_.allocate(store::kFactors, {DType::kF32, Shape{layout_.elements / kChunk, 2}});
  memory_.transfer().write(view.data, factors.data(), view.type.bytes());
}

void ParameterStore::draw(std::size_t p, std::uint64_t seed, float* weights) const {
  const ParameterSpec& parameter = layout_.parameters[p];
  const std::int64_t count = parameter.shape.count();
  if (parameter.init_std == 0) {
    std::fill_n(weights, count, static_cast<float>(parameter.init_value));
    return;
  }
  for (std::int64_t e = 0; e < count; ++e) {
    weights[e] = static_cast<float>(parameter.init_std) *
                 normal(seed, static_cast<std::uint64_t>(p), static_cast<std::uint64_t>(e));
  }
}

void ParameterStore::initialise(std::uint64_t seed) {
  HostTransfer* through = transfer();
  std::vector<float> drawn;
  for (std::size_t p = 0; p < layout_.parameters.size(); ++p) {
    float* weights = master() + layout_.offsets[p];
    if (through == nullptr) {
      draw(p, seed, weights);
      continue;
    }
    drawn.resize(static_cast<std::size_t>(layout_.parameters[p].shape.count()));
    draw(p, seed, drawn.data());
    through->write(weights, drawn.data(), static_cast<std::int64_t>(std::span(drawn).size_bytes()));
  }
}

void ParameterStore::refresh_weights(Stream& stream) {
  stream.synchronize();
  if (compute_type_ != DType::kBf16) return;
  auto* weights = memory_.view(store::kWeights).as<Bf16>();
  HostTransfer* through = transfer();
  if (through == nullptr) {
    const float* source = master();
    for (std::int64_t e = 0; e < layout_.elements; ++e) weights[e] = Bf16(source[e]);
    return;
  }
  constexpr std::int64_t kPiece = 1 << 20;
  std::vector<float> wide(static_cast<std::size_t>(std::min(kPiece, layout_.elements)));
  std::vector<Bf16> narrow(wide.size());
  for (std::int64_t first = 0; first < layout_.elements; first += kPiece) {
    const std::int64_t count = std::min(kPiece, layout_.elements - first);
    through->read(wide.data(), master() + first, count * size_of(DType::kF32));
    for (std::size_t e = 0; e < static_cast<std::size_t>(count); ++e) narrow[e] = Bf16(wide[e]);
    through->write(weights + first, narrow.data(), count * size_of(DType::kBf16));
  }
}

void ParameterStore::copy_to_average() {
  if (!memory_.has(store::kAverage)) return;
  memory_.transfer().copy(memory_.view(store::kAverage).data, master(),
                          layout_.elements * size_of(DType::kF32));
}

std::vector<std::pair<std::string, float*>> ParameterStore::saved_state() const {
  std::vector<std::pair<std::string, float*>> kinds = {{"weights", master()}};
  for (const std::string& name : state_) {
    kinds.emplace_back(name, memory_.view(name).as<float>());
  }
  return kinds;
}

}  // namespace ingot
