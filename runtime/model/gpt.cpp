// The decoder-only transformer, with the choices that separate GPT-2 from Llama: norm, activation,
// positions, grouped queries, tied output, biases. Pre-norm: x += attention(norm(x)), x +=
// mlp(norm(x)).
#include <algorithm>
#include <cmath>

#include "ops/base/text.hpp"
#include "runtime/model/builder.hpp"

namespace ingot {

namespace {

class GptBuilder {
 public:
  GptBuilder(Model& model, const ModelConfig& config, const ModelData& data, ModelMode mode,
             DType type, std::int64_t batch, std::int64_t length)
      : model_(model),
        builder_(model, type),
        config_(config),
        data_(data),
        mode_(mode),
        batch_(batch),
        length_(length),
        head_size_(config.width / config.heads),
        qkv_width_((config.heads + 2 * config.kv_heads) * head_size_),
        dropout_(mode == ModelMode::kTrain ? config.dropout : 0.0) {}

  void build() {
    ValueId x = embed();
    for (int layer = 0; layer < static_cast<int>(config_.layers); ++layer) {
      x = attention(x, layer);
      x = feed_forward(x, layer);
    }
    builder_.graph().set_scope("", -1);
    x = norm(x, "final_norm", -1);
    finish(x);
  }

 private:
  ValueId embed() {
    tokens_ = builder_.input(buffer::kTokens, DType::kI32, {batch_, length_});
    const bool learned = config_.positions == "learned";
    positions_ = builder_.input(buffer::kPositions, DType::kI32, {batch_, length_});
    if (config_.document_mask && mode_ != ModelMode::kGenerate) {
      documents_ = builder_.input(buffer::kDocuments, DType::kI32, {batch_, length_});
    }
    if (dropout_ > 0) samples_ = builder_.input(buffer::kSamples, DType::kI64, {batch_});
    token_table_ = builder_.parameter("token_embedding", {data_.vocabulary, config_.width},
                                      ParameterKind::kEmbedding, -1, config_.init_std);
    ValueId position_table = kNoValue;
    if (learned) {
      position_table = builder_.parameter("position_embedding", {config_.context, config_.width},
                                          ParameterKind::kEmbedding, -1, config_.init_std);
    }
    const ValueId x = builder_.op(
        "embedding", {tokens_, token_table_, learned ? positions_ : kNoValue, position_table}, {},
        "embedding");
    return dropped(x, "embedding dropout", 0);
  }

  ValueId attention(ValueId x, int layer) {
    const std::string prefix = fmt::format("layers.{}.", layer);
    builder_.graph().set_scope(fmt::format("layer {}", layer), layer);
    const ValueId normed = norm(x, prefix + "norm1", layer);
    ValueId qkv = linear(normed, prefix + "attention.qkv", qkv_width_, config_.init_std, layer,
                         "attention qkv");
    Attributes heads{{"heads", config_.heads}, {"kv_heads", config_.kv_heads}};
    if (config_.positions == "rope") {
      Attributes rope = heads;
      rope.set("base", config_.rope_base);
      rope.set("direction", std::int64_t{1});
      qkv = builder_.op("rope", {qkv, positions_}, rope, "attention rope");
    }
    ValueId mixed = kNoValue;
    if (mode_ == ModelMode::kGenerate) {
      const ValueId cache = builder_.graph().add_value(
          {builder_.type_of(qkv).dtype,
           Shape{batch_, 2, config_.context, config_.kv_heads * head_size_}},
          cache_name(layer), Role::kState);
      mixed = builder_.op("attention_cached", {qkv, cache, builder_.scalars()}, heads, "attention");
    } else {
      heads.set("layer", std::int64_t{layer});
      heads.set("dropout", dropout_);
      mixed = builder_.op("attention",
                          {qkv, documents_, samples_, dropout_ > 0 ? builder_.scalars() : kNoValue},
                          heads, "attention");
    }
    const ValueId out = linear(mixed, prefix + "attention.output", config_.width, residual_std(),
                               layer, "projection");
    return add(x, dropped(out, "projection dropout", 2 * layer + 1), "residual");
  }

  ValueId feed_forward(ValueId x, int layer) {
    const std::string prefix = fmt::format("layers.{}.", layer);
    const ValueId normed = norm(x, prefix + "norm2", layer);
    ValueId hidden = kNoValue;
    if (config_.activation == "swiglu") {
      const ValueId gate_up = linear(normed, prefix + "feed_forward.gate_up", 2 * config_.hidden,
                                     config_.init_std, layer, "feed forward gate and up");
      hidden = builder_.op("swiglu", {gate_up}, {}, "swiglu");
    } else {
      const ValueId up = linear(normed, prefix + "feed_forward.up", config_.hidden,
                                config_.init_std, layer, "feed forward up");
      const bool custom = config_.activation.starts_with(kCustomActivation);
      hidden = custom ? custom_activation(up) : builder_.op("gelu", {up}, {}, "gelu");
    }
    const ValueId down = linear(hidden, prefix + "feed_forward.down", config_.width, residual_std(),
                                layer, "feed forward down");
    return add(x, dropped(down, "feed forward dropout", 2 * layer + 2), "residual");
  }

  /// The op that `model.activation: custom:NAME` names. What it can do is known only now that
  /// plugins are loaded, so a wrong name is still the configuration's error.
  ValueId custom_activation(ValueId x) {
    const std::string name = config_.activation.substr(std::string_view(kCustomActivation).size());
    const Registry& registry = builder_.graph().registry();
    const std::vector<std::string> known = registry.names();
    if (std::ranges::find(known, name) == known.end()) {
      fail(ExitCode::kConfiguration, "model.activation: no plugin has an op '{}'{}",
           printable(name), did_you_mean(name, known));
    }
    const TensorType type = builder_.type_of(x);
    const Op& op = registry.find(name);
    bool fits = op.differentiable();
    try {
      fits = fits && op.infer(std::span(&type, 1), {}) == std::vector{type};
    } catch (const Error&) {
      fits = false;  // it wants other inputs, or attributes
    }
    if (!fits) {
      fail(
          ExitCode::kConfiguration,
          "model.activation: the op '{}' is no activation; expected one with a gradient that takes "
          "one tensor, {} here, and returns one like it",
          printable(name), type.text());
    }
    return builder_.op(name, {x}, {}, name);
  }

  void finish(ValueId x) {
    if (mode_ == ModelMode::kGenerate) {
      // Only one position's logits are wanted; the rest of a prompt would be work for nothing.
      x = builder_.op("select_position", {x, builder_.scalars()}, {}, "last position");
    }
    const ValueId weight =
        config_.tied ? token_table_
                     : builder_.parameter("output.weight", {data_.vocabulary, config_.width},
                                          ParameterKind::kMatrix, -1, config_.init_std);
    const ValueId logits = builder_.linear(x, weight, kNoValue, "output");
    if (mode_ == ModelMode::kGenerate) {
      model_.logits = builder_.output(logits, buffer::kLogits);
      return;
    }
    const ValueId targets = builder_.input(buffer::kTargets, DType::kI32, {batch_, length_});
    const bool train = mode_ == ModelMode::kTrain;
    const ValueId losses = builder_.op("cross_entropy", {logits, targets},
                                       {{"gradient", std::int64_t{train ? 1 : 0}}}, "loss");
    builder_.finish_losses(losses, train);
  }

  ValueId norm(ValueId x, const std::string& name, int layer) {
    const ValueId gamma =
        builder_.parameter(name + ".weight", {config_.width}, ParameterKind::kNorm, layer, 0, 1.0);
    const Attributes attributes{{"epsilon", config_.norm_epsilon}};
    const std::string label = name.substr(name.rfind('.') + 1);
    if (config_.norm == "rmsnorm") return builder_.op("rmsnorm", {x, gamma}, attributes, label);
    const ValueId beta = config_.bias ? builder_.parameter(name + ".bias", {config_.width},
                                                           ParameterKind::kBias, layer, 0)
                                      : kNoValue;
    return builder_.op("layernorm", {x, gamma, beta}, attributes, label);
  }

  ValueId linear(ValueId x, const std::string& name, std::int64_t outputs, double init_std,
                 int layer, std::string_view label) {
    const ValueId weight =
        builder_.parameter(name + ".weight", {outputs, builder_.type_of(x).shape[-1]},
                           ParameterKind::kMatrix, layer, init_std);
    const ValueId bias =
        config_.bias ? builder_.parameter(name + ".bias", {outputs}, ParameterKind::kBias, layer, 0)
                     : kNoValue;
    return builder_.linear(x, weight, bias, label);
  }

  ValueId add(ValueId a, ValueId b, std::string_view label) {
    return builder_.op("add", {a, b}, {}, label);
  }

  /// `place` numbers the model's dropouts: each draws its own mask.
  ValueId dropped(ValueId x, std::string_view label, std::int64_t place) {
    if (dropout_ <= 0) return x;
    return builder_.op("dropout", {x, samples_, builder_.scalars()},
                       {{"p", dropout_}, {"layer", place}}, label);
  }

  /// Projections into the residual stream start smaller, so that its variance does not grow with
  /// depth (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, 2.3).
  double residual_std() const {
    return config_.init_std / std::sqrt(2.0 * static_cast<double>(config_.layers));
  }

  Model& model_;
  ModelBuilder builder_;
  const ModelConfig& config_;
  const ModelData& data_;
  ModelMode mode_;
  std::int64_t batch_;
  std::int64_t length_;
  std::int64_t head_size_;
  std::int64_t qkv_width_;
  double dropout_;
  ValueId tokens_ = kNoValue;
  ValueId positions_ = kNoValue;
  ValueId documents_ = kNoValue;
  ValueId samples_ = kNoValue;
  ValueId token_table_ = kNoValue;
};

}  // namespace

void build_gpt(Model& model, const ModelConfig& config, const ModelData& data, ModelMode mode,
               DType type, std::int64_t batch, std::int64_t length) {
  GptBuilder(model, config, data, mode, type, batch, length).build();
}

}  // namespace ingot
