// From a model description to a graph of forward ops. A model builder declares the parameters and
// the ops; it knows nothing of gradients, memory or ranks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/config/config.hpp"
#include "runtime/program/graph.hpp"
#include "runtime/program/parameters.hpp"

namespace ingot {

/// What the data decides about a model.
struct ModelData {
  std::int64_t vocabulary = 0;        ///< gpt
  std::int64_t features = 0;          ///< mlp: numeric columns
  std::int64_t category_columns = 0;  ///< mlp
  std::int64_t category_rows = 0;     ///< mlp: sum over the columns of their category counts
  std::int64_t classes = 2;           ///< mlp: 2 is binary with one logit
};

enum class ModelMode : std::uint8_t {
  kTrain,     ///< losses with gradients, dropout active
  kEvaluate,  ///< losses only
  kGenerate   ///< gpt: logits of one position, with a KV cache
};

/// Names of the run's buffers that programs read and write.
namespace buffer {
inline constexpr const char* kTokens = "tokens";          ///< i32 [B, T]
inline constexpr const char* kTargets = "targets";        ///< i32 [B, T], negative: not counted
inline constexpr const char* kPositions = "positions";    ///< i32 [B, T]
inline constexpr const char* kDocuments = "documents";    ///< i32 [B, T], start of t's document
inline constexpr const char* kSamples = "samples";        ///< i64 [B], global sample numbers
inline constexpr const char* kFeatures = "features";      ///< f32 [B, F]
inline constexpr const char* kCategories = "categories";  ///< i32 [B, K]
inline constexpr const char* kLabels = "labels";          ///< i32 [B]
inline constexpr const char* kScalars = "scalars";        ///< StepScalars
inline constexpr const char* kLossTable = "loss table";   ///< f64, by micro batch; ordered only
inline constexpr const char* kSampleLosses = "sample losses";  ///< f64 [B]
inline constexpr const char* kLogits = "logits";               ///< f32 [B, V] or [B, classes]
}  // namespace buffer

struct Model {
  explicit Model(const Registry& registry) : graph(registry) {}

  Graph graph;
  std::vector<ParameterSpec> parameters;
  ValueId losses = kNoValue;         ///< f32 [B, T] or [B]
  ValueId sample_losses = kNoValue;  ///< f64 [B]
  ValueId logits = kNoValue;
};

/// Defaults that depend on other keys: kv_heads, hidden.
ModelConfig resolve(const ModelConfig& config);

/// The graph for `batch` samples (of `length` tokens each) in element type `type`. Parameters are
/// declared in the same order in every mode.
Model build_model(const Registry& registry, const ModelConfig& config, const ModelData& data,
                  ModelMode mode, DType type, std::int64_t batch, std::int64_t length);

/// Name of a layer's KV cache buffer, [B, 2, context, kv_heads * head size].
std::string cache_name(int layer);

}  // namespace ingot
