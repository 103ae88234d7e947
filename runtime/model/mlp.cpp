// The multi-layer perceptron for tables: standardised numeric columns beside one embedding per
// categorical column, hidden layers, and one logit (two classes) or one per class.
#include <cmath>

#include "runtime/model/builder.hpp"

namespace ingot {

void build_mlp(Model& model, const ModelConfig& config, const ModelData& data, ModelMode mode,
               DType type, std::int64_t batch) {
  ModelBuilder builder(model, type);
  const ValueId features = builder.input(buffer::kFeatures, DType::kF32, {batch, data.features});
  const ValueId categories =
      builder.input(buffer::kCategories, DType::kI32, {batch, data.category_columns});
  ValueId x = kNoValue;
  if (data.category_columns > 0) {
    const ValueId table =
        builder.parameter("category_embedding", {data.category_rows, config.embedding},
                          ParameterKind::kEmbedding, -1, 1.0 / std::sqrt(double(config.embedding)));
    x = builder.op("tabular_input", {features, categories, table}, {}, "input");
  } else if (type == DType::kBf16) {
    x = builder.op("cast", {features}, {{"dtype", std::string("bf16")}}, "input");
  } else {
    x = features;
  }

  const auto linear = [&](const std::string& name, std::int64_t outputs, int layer) {
    const std::int64_t inputs = builder.type_of(x).shape[-1];
    // He et al., "Delving Deep into Rectifiers", 2015: keeps the variance through relu.
    const double init_std = std::sqrt(2.0 / static_cast<double>(inputs));
    const ValueId weight = builder.parameter(name + ".weight", {outputs, inputs},
                                             ParameterKind::kMatrix, layer, init_std);
    const ValueId bias =
        builder.parameter(name + ".bias", {outputs}, ParameterKind::kBias, layer, 0);
    return builder.linear(x, weight, bias, name);
  };
  for (std::size_t layer = 0; layer < config.hidden_layers.size(); ++layer) {
    builder.graph().set_scope(fmt::format("layer {}", layer), static_cast<int>(layer));
    x = linear(fmt::format("layers.{}", layer), config.hidden_layers[layer],
               static_cast<int>(layer));
    x = builder.op(config.activation, {x}, {}, config.activation);
    if (config.dropout > 0 && mode == ModelMode::kTrain) {
      const ValueId samples = builder.input(buffer::kSamples, DType::kI64, {batch});
      x = builder.op("dropout", {x, samples, builder.scalars()},
                     {{"p", config.dropout}, {"layer", static_cast<std::int64_t>(layer)}},
                     "dropout");
    }
  }
  builder.graph().set_scope("", -1);
  const bool binary = data.classes == 2;
  const ValueId logits = linear("output", binary ? 1 : data.classes, -1);
  const ValueId labels = builder.input(buffer::kLabels, DType::kI32, {batch});
  const bool train = mode == ModelMode::kTrain;
  Attributes attributes{{"gradient", std::int64_t{train ? 1 : 0}}};
  if (binary) attributes.set("positive_weight", config.positive_weight);
  const ValueId losses = builder.op(binary ? "binary_cross_entropy" : "cross_entropy",
                                    {logits, labels}, attributes, "loss");
  builder.finish_losses(losses, train);
  if (!train) model.logits = builder.output(logits, buffer::kLogits);
}

}  // namespace ingot
