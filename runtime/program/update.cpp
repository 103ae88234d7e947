#include "runtime/program/update.hpp"

#include "ops/step_scalars.hpp"

namespace ingot {

std::vector<std::string> optimizer_state(const OptimizerConfig& config) {
  std::vector<std::string> names = {store::kMoment1};
  if (config.kind == "adamw") names.emplace_back(store::kMoment2);
  if (config.ema > 0) names.emplace_back(store::kAverage);
  return names;
}

std::vector<float> chunk_factors(const StoreLayout& layout, const OptimizerConfig& config) {
  std::vector<float> factors(static_cast<std::size_t>(layout.elements / kChunk * 2));
  for (std::size_t p = 0; p < layout.parameters.size(); ++p) {
    const ParameterSpec& parameter = layout.parameters[p];
    const bool decays = parameter.kind == ParameterKind::kMatrix ||
                        (parameter.kind == ParameterKind::kEmbedding && config.decay_embeddings);
    const std::int64_t first = layout.offsets[p] / kChunk;
    const std::int64_t chunks = (parameter.shape.count() + kChunk - 1) / kChunk;
    for (std::int64_t chunk = first; chunk < first + chunks; ++chunk) {
      factors[static_cast<std::size_t>(2 * chunk)] = 1.0F;
      factors[static_cast<std::size_t>(2 * chunk + 1)] =
          decays ? static_cast<float>(config.weight_decay) : 0.0F;
    }
  }
  return factors;
}

Graph build_update(const Registry& registry, const StoreLayout& layout,
                   const OptimizerConfig& config, bool separate_weights) {
  Graph graph(registry);
  const Shape flat{layout.elements};
  const auto state = [&](const char* name, DType type = DType::kF32) {
    return graph.add_value({type, flat}, name, Role::kState);
  };
  const ValueId gradients = state(store::kGradients);
  const ValueId master = state(store::kMaster);
  const ValueId factors = graph.add_value({DType::kF32, Shape{layout.elements / kChunk, 2}},
                                          store::kFactors, Role::kInput);
  const ValueId scalars = graph.add_value(step_scalars_type(), "scalars", Role::kInput);
  const ValueId weights = separate_weights ? state(store::kWeights, DType::kBf16) : kNoValue;

  const ValueId partials =
      graph.add("square_sums", {gradients}, {{"chunk", kChunk}}, "gradient norm").front();
  graph.add("finish_norm", {partials, scalars}, {}, "clip");
  if (config.kind == "adamw") {
    graph.add("adamw",
              {master, gradients, state(store::kMoment1), state(store::kMoment2), factors, scalars,
               weights},
              {{"beta1", config.beta1},
               {"beta2", config.beta2},
               {"epsilon", config.epsilon},
               {"chunk", kChunk}},
              "adamw");
  } else if (config.kind == "lion") {
    graph.add("lion", {master, gradients, state(store::kMoment1), factors, scalars, weights},
              {{"beta1", config.beta1}, {"beta2", config.beta2}, {"chunk", kChunk}}, "lion");
  } else {
    graph.add("sgd", {master, gradients, state(store::kMoment1), factors, scalars, weights},
              {{"momentum", config.momentum}, {"chunk", kChunk}}, "sgd");
  }
  if (config.ema > 0) graph.add("ema", {state(store::kAverage), master, scalars}, {}, "ema");
  return graph;
}

}  // namespace ingot
