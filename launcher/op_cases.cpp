#include "launcher/op_cases.hpp"

#include <utility>

#include "ops/step_scalars.hpp"

namespace ingot {
namespace {

constexpr std::int64_t kBatch = 4;
constexpr std::int64_t kLength = 256;
constexpr std::int64_t kWidth = 384;
constexpr std::int64_t kHeads = 6;
constexpr std::int64_t kHidden = 4 * kWidth;
constexpr std::int64_t kVocabulary = 8192;
constexpr std::int64_t kRows = 4096;    // of a table
constexpr std::int64_t kFeatures = 16;  // numeric columns
constexpr std::int64_t kColumns = 8;    // categorical columns
constexpr std::int64_t kCategories = 1000;
constexpr std::int64_t kEmbedding = 16;
constexpr std::int64_t kElements = std::int64_t{1} << 22;  // of a parameter store
constexpr std::int64_t kChunkElements = 1024;

CaseInput values(DType type, Shape shape) {
  return {{type, std::move(shape)}};
}
CaseInput indices(Shape shape, std::int64_t bound, DType type = DType::kI32) {
  return {{type, std::move(shape)}, Fill::kIndices, bound};
}
CaseInput scalars() {
  return {step_scalars_type(), Fill::kScalars};
}
CaseInput absent() {
  return {{DType::kU8, Shape{0}}};
}
CaseInput ones(Shape shape) {
  return {{DType::kF32, std::move(shape)}, Fill::kConstant, 1};
}

Shape activations(std::int64_t width) {
  return Shape{kBatch, kLength, width};
}

class Cases {
 public:
  explicit Cases(DType type) : type_(type) {}

  void add(std::string op, std::vector<CaseInput> inputs, Attributes attributes = {}) {
    cases_.push_back({std::move(op), type_, std::move(inputs), std::move(attributes)});
  }
  CaseInput floats(Shape shape) const { return values(type_, std::move(shape)); }
  std::vector<OpCase> take() { return std::move(cases_); }

  void add_matrix_products() {
    add("linear", {floats(activations(kWidth)), floats({kHidden, kWidth}), floats({kHidden})},
        {{"activation", std::string("none")}});
    add("linear_backward_input", {floats(activations(kHidden)), floats({kHidden, kWidth})});
    add("linear_backward_gelu",
        {floats(activations(kWidth)), floats({kWidth, kHidden}), floats(activations(kHidden))});
    add("linear_backward_weight", {floats(activations(kHidden)), floats(activations(kWidth))},
        {{"bias", std::int64_t{1}}});
  }

  void add_attention() {
    const Attributes heads{{"heads", kHeads}, {"kv_heads", kHeads}};
    Attributes full = heads;
    full.set("layer", std::int64_t{0});
    full.set("dropout", 0.0);
    const CaseInput qkv = floats(activations(3 * kWidth));
    const CaseInput out = floats(activations(kWidth));
    // ln of 256: probabilities then stay about one in sum.
    const CaseInput log_sum{{DType::kF32, Shape{kBatch, kHeads, kLength}}, Fill::kConstant, 6};
    add("attention", {qkv}, full);
    add("attention_backward", {out, qkv, out, log_sum}, full);
    add("attention_cached",
        {floats({1, 1, 3 * kWidth}), floats({1, 2, kLength, kWidth}), scalars()}, heads);
    Attributes rope = heads;
    rope.set("direction", std::int64_t{1});
    rope.set("base", 10000.0);
    add("rope", {qkv, indices({kBatch, kLength}, kLength)}, rope);
  }

  void add_norms() {
    const CaseInput x = floats(activations(kWidth));
    const CaseInput gamma = floats({kWidth});
    const CaseInput statistic = ones({kBatch, kLength});
    const Attributes epsilon{{"epsilon", 1e-5}};
    add("layernorm", {x, gamma, gamma}, epsilon);
    add("add_layernorm", {x, x, gamma, gamma}, epsilon);
    add("layernorm_backward", {x, x, statistic, statistic, gamma, absent()},
        {{"bias", std::int64_t{1}}});
    add("rmsnorm", {x, gamma}, epsilon);
    add("add_rmsnorm", {x, x, gamma}, epsilon);
    add("rmsnorm_backward", {x, x, statistic, gamma, absent()});
  }

  void add_elementwise() {
    const CaseInput hidden = floats(activations(kHidden));
    const CaseInput pair = floats(activations(2 * kHidden));
    const CaseInput x = floats(activations(kWidth));
    add("gelu", {hidden});
    add("gelu_backward", {hidden, hidden});
    add("relu", {hidden});
    add("relu_backward", {hidden, hidden});
    add("swiglu", {pair});
    add("swiglu_backward", {hidden, pair});
    add("add", {x, x});
    add("cast", {x}, {{"dtype", std::string(type_ == DType::kF32 ? "bf16" : "f32")}});
    add("copy", {x});
    add("dropout", {x, indices({kBatch}, 1000, DType::kI64), scalars()},
        {{"p", 0.1}, {"layer", std::int64_t{0}}});
    add("select_position", {floats({1, 64, kWidth}), scalars()});
  }

  void add_ends() {
    const CaseInput tokens = indices({kBatch, kLength}, kVocabulary);
    const Attributes gradient{{"gradient", std::int64_t{1}}};
    add("embedding", {tokens, floats({kVocabulary, kWidth}), absent(), absent()});
    add("embedding_backward", {tokens, floats(activations(kWidth))}, {{"rows", kVocabulary}});
    add("cross_entropy", {floats(activations(kVocabulary)), tokens}, gradient);
    add("binary_cross_entropy", {floats({kRows, 1}), indices({kRows}, 2)},
        {{"gradient", std::int64_t{1}}, {"positive_weight", 1.0}});
    const CaseInput categories = indices({kRows, kColumns}, kCategories);
    add("tabular_input",
        {values(DType::kF32, {kRows, kFeatures}), categories, floats({kCategories, kEmbedding})});
    add("tabular_input_backward", {categories, floats({kRows, kFeatures + kColumns * kEmbedding})},
        {{"features", kFeatures}, {"rows", kCategories}});
  }

  /// Over the parameter store; bf16 runs also write the weights that compute reads.
  void add_update() {
    const CaseInput flat = values(DType::kF32, {kElements});
    const CaseInput second_moment{{DType::kF32, Shape{kElements}}, Fill::kConstant, 1};
    const CaseInput factors = ones({kElements / kChunkElements, 2});
    const bool separate = type_ == DType::kBf16;
    const CaseInput compute = separate ? values(DType::kBf16, {kElements}) : absent();
    const Attributes betas{{"beta1", 0.9}, {"beta2", 0.95}, {"chunk", kChunkElements}};
    Attributes adamw = betas;
    adamw.set("epsilon", 1e-8);
    add("adamw", {flat, flat, flat, second_moment, factors, scalars(), compute}, adamw);
    add("sgd", {flat, flat, flat, factors, scalars(), compute},
        {{"momentum", 0.9}, {"chunk", kChunkElements}});
    add("lion", {flat, flat, flat, factors, scalars(), compute}, betas);
  }

  void add_f32_only() {
    const CaseInput flat = values(DType::kF32, {kElements});
    add("ema", {flat, flat, scalars()});
    add("square_sums", {flat}, {{"chunk", kChunkElements}});
    add("finish_norm", {values(DType::kF64, {kElements / kChunkElements}), scalars()});
    add("loss_sums", {values(DType::kF32, {kBatch, kLength})});
    add("accumulate_loss", {values(DType::kF64, {kBatch}), scalars()});
  }

 private:
  DType type_;
  std::vector<OpCase> cases_;
};

}  // namespace

std::vector<OpCase> op_cases(DType type) {
  Cases cases(type);
  cases.add_matrix_products();
  cases.add_attention();
  cases.add_norms();
  cases.add_elementwise();
  cases.add_ends();
  cases.add_update();
  if (type == DType::kF32) cases.add_f32_only();
  return cases.take();
}

}  // namespace ingot
