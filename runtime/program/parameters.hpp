// What a model's parameters are and where each lies in the flat store.
//
// The store is one run of elements per kind of state (weights, gradients, moments). Tensors start
// on chunk boundaries; the gap up to the next tensor is zero and never saved. Tensors are ordered
// by when their gradient is complete in backward, so that a bucket, a consecutive run of them, can
// be reduced while backward still runs. Bucket boundaries coincide with layers, except at the end
// of backward, where nothing is left to hide a reduction behind: buckets are a quarter as large
// there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/tensor.hpp"

namespace ingot {

/// Decides weight decay and how a parameter is initialised.
enum class ParameterKind : std::uint8_t { kMatrix, kEmbedding, kNorm, kBias };

struct ParameterSpec {
  std::string name;  ///< "layers.3.attention.qkv.weight"
  Shape shape;
  ParameterKind kind = ParameterKind::kMatrix;
  int layer = -1;         ///< transformer layer, -1 outside layers
  double init_std = 0;    ///< standard deviation of the normal start
  double init_value = 0;  ///< constant start where init_std is 0
};

constexpr std::int64_t kChunk = 1024;  ///< elements

struct Bucket {
  std::int64_t offset = 0;  ///< first element in the flat store
  std::int64_t count = 0;   ///< elements, whole chunks
};

/// A run of elements that a rank holds of the flat store: where it is there, and where it is in the
/// rank's own buffer.
struct ShardRange {
  std::int64_t flat = 0;
  std::int64_t local = 0;
  std::int64_t count = 0;
};

struct StoreLayout {
  std::vector<ParameterSpec> parameters;
  std::vector<std::int64_t> offsets;  ///< per parameter: first element in the flat store
  std::vector<Bucket> buckets;        ///< in the order in which backward completes them
  std::vector<int> bucket_of;         ///< per parameter
  std::int64_t elements = 0;          ///< of the flat store, padding included
  int shards =
      1;  ///< a bucket is cut for that many ranks: its count is a multiple of shards chunks

  std::int64_t parameter_count() const;     ///< elements without padding
  int find(const std::string& name) const;  ///< index, -1 if there is none
  /// The block of bucket b that shard `rank` consists of. Its place in a buffer that holds the
  /// rank's blocks of all buckets one after the other is `local`.
  ShardRange shard_of(std::size_t bucket, int rank) const;
};

/// Lays parameters out. finish_order[p] is any number that grows with the time at which backward
/// completes parameter p's gradient. A bucket is closed at a layer's end once it holds bucket_bytes
/// of f32 gradients; in the last layer to finish, and what follows it, at a tensor's end once it
/// holds a quarter of that (of buckets of 1 MiB and more). Where a bucket is cut for `shards`
/// ranks, padding follows its last tensor.
StoreLayout lay_out(std::vector<ParameterSpec> parameters, const std::vector<int>& finish_order,
                    std::int64_t bucket_bytes, int shards = 1);

}  // namespace ingot
