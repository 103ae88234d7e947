#include "runtime/model/model.hpp"

#include "runtime/model/builder.hpp"

namespace ingot {

std::string cache_name(int layer) {
  return fmt::format("cache {}", layer);
}

ModelConfig resolve(const ModelConfig& config) {
  ModelConfig result = config;
  if (result.kv_heads == 0) result.kv_heads = result.heads;
  if (result.hidden == 0) {
    result.hidden = result.activation == "swiglu"
                        ? (result.width * 8 / 3 + 63) / 64 * 64  // as many weights as 4 x width
                        : 4 * result.width;
  }
  return result;
}

Model build_model(const Registry& registry, const ModelConfig& config, const ModelData& data,
                  ModelMode mode, DType type, std::int64_t batch, std::int64_t length) {
  Model model(registry);
  if (config.kind == "mlp") {
    build_mlp(model, resolve(config), data, mode, type, batch);
  } else {
    build_gpt(model, resolve(config), data, mode, type, batch, length);
  }
  return model;
}

}  // namespace ingot
