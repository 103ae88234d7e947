#include "runtime/program/parameters.hpp"

#include <algorithm>
#include <numeric>

namespace ingot {

namespace {

/// Runs of tensors of one layer at the end of backward that are cut finer: the first layer of the
/// model and its embeddings.
constexpr int kTailLayers = 2;
/// How much finer, unless that would make exchanges so short that their number counts.
constexpr std::int64_t kTailParts = 4;
constexpr std::int64_t kLeastTailBytes = 256 << 10;

}  // namespace

std::int64_t StoreLayout::parameter_count() const {
  std::int64_t total = 0;
  for (const ParameterSpec& parameter : parameters) total += parameter.shape.count();
  return total;
}

int StoreLayout::find(const std::string& name) const {
  const auto found = std::ranges::find(parameters, name, &ParameterSpec::name);
  return found == parameters.end() ? -1 : static_cast<int>(found - parameters.begin());
}

ShardRange StoreLayout::shard_of(std::size_t bucket, int rank) const {
  const Bucket& whole = buckets.at(bucket);
  const std::int64_t count = whole.count / shards;
  return {whole.offset + rank * count, whole.offset / shards, count};
}

StoreLayout lay_out(std::vector<ParameterSpec> parameters, const std::vector<int>& finish_order,
                    std::int64_t bucket_bytes, int shards) {
  ensure(parameters.size() == finish_order.size(), "a finish time for each parameter");
  ensure(shards > 0, "at least one shard");
  const std::int64_t grain = kChunk * shards;
  StoreLayout layout;
  layout.shards = shards;
  layout.parameters = std::move(parameters);
  layout.offsets.resize(layout.parameters.size());
  layout.bucket_of.resize(layout.parameters.size());

  std::vector<std::size_t> order(layout.parameters.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t p) { return finish_order[p]; });

  const auto layer_of = [&](std::size_t i) { return layout.parameters[order[i]].layer; };
  const auto layer_ends = [&](std::size_t i) {
    return i + 1 == order.size() || layer_of(i + 1) != layer_of(i);
  };
  // The last layer and what follows it: no backward is left that could hide their reductions.
  std::size_t tail = order.size();
  const bool cuts_tail = bucket_bytes / kTailParts >= kLeastTailBytes;
  for (int ends = 0; cuts_tail && tail > 0; --tail) {
    ends += layer_ends(tail - 1) ? 1 : 0;
    if (ends > kTailLayers) break;
  }

  Bucket open;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::size_t p = order[i];
    const ParameterSpec& parameter = layout.parameters[p];
    layout.offsets[p] = layout.elements;
    layout.bucket_of[p] = static_cast<int>(layout.buckets.size());
    layout.elements += (parameter.shape.count() + kChunk - 1) / kChunk * kChunk;
    open.count = layout.elements - open.offset;
    const std::int64_t bytes = open.count * size_of(DType::kF32);
    const bool full =
        i >= tail ? bytes >= bucket_bytes / kTailParts : bytes >= bucket_bytes && layer_ends(i);
    if (full || i + 1 == order.size()) {
      open.count = (open.count + grain - 1) / grain * grain;
      layout.elements = open.offset + open.count;
      layout.buckets.push_back(open);
      open = {layout.elements, 0};
    }
  }
  return layout;
}

}  // namespace ingot
