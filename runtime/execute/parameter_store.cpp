#include "runtime/execute/parameter_store.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

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

ParameterStore::ParameterStore(StoreLayout layout, DType compute_type, Memory& memory,
                               const ParallelPlan& parallel, const OptimizerConfig* optimizer)
    : layout_(std::move(layout)),
      compute_type_(compute_type),
      memory_(memory),
      parallel_(parallel),
      master_ranges_(ingot::master_ranges(layout_, parallel, compute_type)) {
  for (const StoreBuffer& buffer : store_buffers(layout_, parallel, compute_type, optimizer)) {
    if (buffer.alias_of.empty()) {
      memory_.allocate(buffer.name, buffer.type);
    } else {
      memory_.alias(buffer.name, buffer.alias_of);
    }
  }
  if (optimizer == nullptr) return;
  state_ = optimizer_state(*optimizer);
  const auto fill = [&](const char* name, const auto& values) {
    memory_.transfer().write(memory_.view(name).data, values.data(),
                             static_cast<std::int64_t>(std::span(values).size_bytes()));
  };
  fill(store::kFactors, chunk_factors(layout_, *optimizer, parallel));
  if (memory_.has(store::kOrder)) fill(store::kOrder, norm_order(layout_, parallel_));
}

/// Elements [first, first + weights.size()) of parameter p; `first` is a multiple of 4.
void ParameterStore::draw(std::size_t p, std::uint64_t seed, std::int64_t first,
                          std::span<float> weights) const {
  const ParameterSpec& parameter = layout_.parameters[p];
  if (parameter.init_std == 0) {
    std::ranges::fill(weights, static_cast<float>(parameter.init_value));
    return;
  }
  const auto deviation = static_cast<float>(parameter.init_std);
  const auto count = static_cast<std::int64_t>(weights.size());
  for (std::int64_t e = 0; e < count; e += 4) {
    const auto drawn =
        normals(seed, static_cast<std::uint64_t>(p), static_cast<std::uint64_t>((first + e) / 4));
    const std::int64_t here = std::min<std::int64_t>(4, count - e);
    for (std::int64_t i = 0; i < here; ++i) {
      weights[static_cast<std::size_t>(e + i)] = deviation * drawn[static_cast<std::size_t>(i)];
    }
  }
}

void ParameterStore::initialise(std::uint64_t seed) {
  HostTransfer* through = transfer();
  std::vector<float> drawn;
  // In f32 a rank that keeps all weights draws all of them.
  const bool whole = memory_.view(store::kMaster).count() == layout_.elements;
  const std::vector<ShardRange> ranges =
      whole ? std::vector<ShardRange>{{0, 0, layout_.elements}} : master_ranges_;
  for (std::size_t p = 0; p < layout_.parameters.size(); ++p) {
    const std::int64_t begin = layout_.offsets[p];
    const std::int64_t end = begin + layout_.parameters[p].shape.count();
    for (const ShardRange& range : ranges) {
      const std::int64_t first = std::max(begin, range.flat);
      const std::int64_t count = std::min(end, range.flat + range.count) - first;
      if (count <= 0) continue;
      float* weights = master() + range.local + (first - range.flat);
      if (through == nullptr) {
        draw(p, seed, first - begin, {weights, static_cast<std::size_t>(count)});
        continue;
      }
      drawn.resize(static_cast<std::size_t>(count));
      draw(p, seed, first - begin, drawn);
      through->write(weights, drawn.data(), count * size_of(DType::kF32));
    }
  }
}

void ParameterStore::narrow(const float* from, Bf16* to, std::int64_t count) const {
  HostTransfer* through = transfer();
  if (through == nullptr) {
    for (std::int64_t e = 0; e < count; ++e) to[e] = Bf16(from[e]);
    return;
  }
  constexpr std::int64_t kPiece = 1 << 20;
  std::vector<float> wide(static_cast<std::size_t>(std::min(kPiece, count)));
  std::vector<Bf16> narrow(wide.size());
  for (std::int64_t first = 0; first < count; first += kPiece) {
    const std::int64_t here = std::min(kPiece, count - first);
    through->read(wide.data(), from + first, here * size_of(DType::kF32));
    for (std::size_t e = 0; e < static_cast<std::size_t>(here); ++e) narrow[e] = Bf16(wide[e]);
    through->write(to + first, narrow.data(), here * size_of(DType::kBf16));
  }
}

void ParameterStore::refresh_weights(Stream& stream, Communicator* group) {
  stream.synchronize();
  const bool whole = parallel_.gathers_updated_weights();
  if (compute_type_ == DType::kBf16) {
    auto* weights = memory_.view(store::kWeights).as<Bf16>();
    for (const ShardRange& range : master_ranges_) {
      narrow(master() + range.local, weights + (whole ? range.flat : range.local), range.count);
    }
  }
  if (!whole) return;
  ensure(group != nullptr, "a communicator to gather weights by");
  gather_weights(stream, *group);
  stream.synchronize();
}

void ParameterStore::gather_weights(Stream& stream, Communicator& group) {
  auto* weights = static_cast<std::byte*>(memory_.view(store::kWeights).data);
  const std::int64_t element = size_of(compute_type_);
  for (std::size_t b = 0; b < layout_.buckets.size(); ++b) {
    const ShardRange own = layout_.shard_of(b, parallel_.shard_rank());
    group.all_gather(weights + layout_.buckets[b].offset * element, weights + own.flat * element,
                     own.count, compute_type_, stream,
                     {"weights of bucket", static_cast<std::int32_t>(b)});
  }
}

void ParameterStore::copy_to_average() {
  if (!memory_.has(store::kAverage)) return;
  float* average = memory_.view(store::kAverage).as<float>();
  const std::vector<ShardRange> ranges = state_ranges(layout_, parallel_);
  for (std::size_t r = 0; r < ranges.size(); ++r) {
    memory_.transfer().copy(average + ranges[r].local, master() + master_ranges_[r].local,
                            ranges[r].count * size_of(DType::kF32));
  }
}

std::vector<SavedBuffer> ParameterStore::saved_state() const {
  const auto buffer = [&](const std::string& name, const std::string& saved_as,
                          std::vector<ShardRange> held) {
    const TensorView& view = memory_.view(name);
    return SavedBuffer{
        saved_as, {view.as<float>(), static_cast<std::size_t>(view.count())}, std::move(held)};
  };
  std::vector<SavedBuffer> kinds = {buffer(store::kMaster, "weights", master_ranges_)};
  for (const std::string& name : state_) {
    kinds.push_back(buffer(name, name, state_ranges(layout_, parallel_)));
  }
  return kinds;
}

}  // namespace ingot
