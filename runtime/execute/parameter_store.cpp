#include "runtime/execute/parameter_store.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "ops/base/normal.hpp"
#include "ops/base/philox.hpp"

namespace ingot {

namespace {

/// Normal numbers for elements [4 group, 4 group + 4) of a parameter: four words of one draw.
std::array<float, 4> normals(std::uint64_t seed, std::uint64_t parameter, std::uint64_t group) {
  const auto words = philox(seed, RandomPurpose::kInitialise, parameter, group);
  std::array<float, 4> result{};
  for (std::size_t i = 0; i < result.size(); ++i) {
    const double uniform = (static_cast<double>(words[i]) + 0.5) * 0x1p-32;
    result[i] = static_cast<float>(normal_quantile(uniform));
  }
  return result;
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
  const auto deviation = static_cast<float>(parameter.init_std);
  for (std::int64_t e = 0; e < count; e += 4) {
    const auto drawn =
        normals(seed, static_cast<std::uint64_t>(p), static_cast<std::uint64_t>(e / 4));
    const std::int64_t here = std::min<std::int64_t>(4, count - e);
    for (std::int64_t i = 0; i < here; ++i) {
      weights[e + i] = deviation * drawn[static_cast<std::size_t>(i)];
    }
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
