#include "launcher/op_cases.hpp"

#include <utility>

#include "ops/step_scalars.hpp"

namespace ingot {
namespace {

constexpr std::int64_t kFeatures = 16;  // numeric columns of a table
constexpr std::int64_t kColumns = 8;    // categorical columns
constexpr std::int64_t kCategories = 1000;
constexpr std::int64_t kEmbedding = 16;
constexpr std::int64_t kChunkElements = 1024;

CaseInput values(DType type, Shape shape) {
  return {{type, std::move(shape)}};
}
CaseInput indices(Shape shape, std::int64_t bound, DType type = DType::kI32) {
  return {{type, std::move(shape)}, Fill::kIndices, bound};
}
CaseInput absent() {
  return {{DType::kU8, Shape{0}}};
}
CaseInput ones(Shape shape) {
  return {{DType::kF32, std::move(shape)}, Fill::kConstant, 1};
}

class Cases {
 public:
  Cases(DType type, const CaseSizes& sizes) : type_(type), sizes_(sizes) {}

  void add(std::string op, std::vector<CaseInput> inputs, Attributes attributes = {}) {
    cases_.push_back({std::move(op), type_, std::move(inputs), std::move(attributes)});
  }
  CaseInput floats(Shape shape) const { return values(type_, std::move(shape)); }
  CaseInput scalars() const { return {step_scalars_type(), Fill::kScalars, sizes_.length - 1}; }
  std::int64_t inner() const { return 4 * sizes_.width; }
  Shape activations(std::int64_t width) const { return Shape{sizes_.batch, sizes_.length, width}; }
  std::vector<OpCase> take() { return std::move(cases_); }

  void add_matrix_products() {
    add("linear",
        {floats(activations(sizes_.width)), floats({inner(), sizes_.width}), floats({inner()})},
        {{"activation", std::string("none")}});
    add("linear_backward_input", {floats(activations(inner())), floats({inner(), sizes_.width})});
    add("linear_backward_gelu", {floats(activations(sizes_.width)), floats({sizes_.width, inner()}),
                                 floats(activations(inner()))});
    add("linear_backward_weight", {floats(activations(inner())), floats(activations(sizes_.width))},
        {{"bias", std::int64_t{1}}});
  }

  void add_attention() {
    const Attributes heads{{"heads", sizes_.heads}, {"kv_heads", sizes_.heads}};
    Attributes full = heads;
    full.set("layer", std::int64_t{0});
    full.set("dropout", 0.0);
    const CaseInput qkv = floats(activations(3 * sizes_.width));
    const CaseInput out = floats(activations(sizes_.width));
    // ln of 256: probabilities then stay about one in sum.
    const CaseInput log_sum{
        {DType::kF32, Shape{sizes_.batch, sizes_.heads, sizes_.length}}, Fill::kConstant, 6};
    add("attention", {qkv}, full);
    add("attention_backward", {out, qkv, out, log_sum}, full);
    add("attention_cached",
        {floats({1, 1, 3 * sizes_.width}), floats({1, 2, sizes_.length, sizes_.width}), scalars()},
        heads);
    Attributes rope = heads;
    rope.set("direction", std::int64_t{1});
    rope.set("base", 10000.0);
    add("rope", {qkv, indices({sizes_.batch, sizes_.length}, sizes_.length)}, rope);
  }

  void add_norms() {
    const CaseInput x = floats(activations(sizes_.width));
    const CaseInput gamma = floats({sizes_.width});
    const CaseInput statistic = ones({sizes_.batch, sizes_.length});
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
    const CaseInput hidden = floats(activations(inner()));
    const CaseInput pair = floats(activations(2 * inner()));
    const CaseInput x = floats(activations(sizes_.width));
    add("gelu", {hidden});
    add("gelu_backward", {hidden, hidden});
    add("relu", {hidden});
    add("relu_backward", {hidden, hidden});
    add("swiglu", {pair});
    add("swiglu_backward", {hidden, pair});
    add("add", {x, x});
    add("cast", {x}, {{"dtype", std::string(type_ == DType::kF32 ? "bf16" : "f32")}});
    add("copy", {x});
    add("dropout", {x, indices({sizes_.batch}, 1000, DType::kI64), scalars()},
        {{"p", 0.1}, {"layer", std::int64_t{0}}});
    add("select_position", {floats({1, 64, sizes_.width}), scalars()});
  }

  void add_ends() {
    const CaseInput tokens = indices({sizes_.batch, sizes_.length}, sizes_.vocabulary);
    const Attributes gradient{{"gradient", std::int64_t{1}}};
    add("embedding", {tokens, floats({sizes_.vocabulary, sizes_.width}), absent(), absent()});
    add("embedding_backward", {tokens, floats(activations(sizes_.width))},
        {{"rows", sizes_.vocabulary}});
    add("cross_entropy", {floats(activations(sizes_.vocabulary)), tokens}, gradient);
    add("binary_cross_entropy", {floats({sizes_.rows, 1}), indices({sizes_.rows}, 2)},
        {{"gradient", std::int64_t{1}}, {"positive_weight", 1.0}});
    const CaseInput categories = indices({sizes_.rows, kColumns}, kCategories);
    add("tabular_input", {values(DType::kF32, {sizes_.rows, kFeatures}), categories,
                          floats({kCategories, kEmbedding})});
    add("tabular_input_backward",
        {categories, floats({sizes_.rows, kFeatures + kColumns * kEmbedding})},
        {{"features", kFeatures}, {"rows", kCategories}});
  }

  /// Over the parameter store; bf16 runs also write the weights that compute reads.
  void add_update() {
    const CaseInput flat = values(DType::kF32, {sizes_.elements});
    const CaseInput second_moment{{DType::kF32, Shape{sizes_.elements}}, Fill::kConstant, 1};
    const CaseInput factors = ones({sizes_.elements / kChunkElements, 2});
    const bool separate = type_ == DType::kBf16;
    const CaseInput compute = separate ? values(DType::kBf16, {sizes_.elements}) : absent();
    const Attributes betas{{"beta1", 0.9}, {"beta2", 0.95}, {"chunk", kChunkElements}};
    Attributes adamw = betas;
    adamw.set("epsilon", 1e-8);
    add("adamw", {flat, flat, flat, second_moment, factors, scalars(), compute}, adamw);
    add("sgd", {flat, flat, flat, factors, scalars(), compute},
        {{"momentum", 0.9}, {"chunk", kChunkElements}});
    add("lion", {flat, flat, flat, factors, scalars(), compute}, betas);
  }

  void add_f32_only() {
    const CaseInput flat = values(DType::kF32, {sizes_.elements});
    add("ema", {flat, flat, scalars()});
    add("square_sums", {flat}, {{"chunk", kChunkElements}});
    add("finish_norm", {values(DType::kF64, {sizes_.elements / kChunkElements}), scalars()});
    add("loss_sums", {values(DType::kF32, {sizes_.batch, sizes_.length})});
    add("accumulate_loss", {values(DType::kF64, {sizes_.batch}), scalars()});
    // Every run takes the next place of its table.
    constexpr std::int64_t kMostRuns = 1 << 22;
    add("record_loss",
        {values(DType::kF64, {sizes_.batch}), scalars(), values(DType::kF64, {kMostRuns})});
    add("sum_losses", {values(DType::kF64, {64}), scalars()}, {{"interleaved", std::int64_t{1}}});
  }

 private:
  DType type_;
  CaseSizes sizes_;
  std::vector<OpCase> cases_;
};

}  // namespace

CaseSizes tiny_sizes() {
  return {.batch = 2,
          .length = 32,
          .width = 128,
          .heads = 2,
          .vocabulary = 256,
          .rows = 64,
          .elements = std::int64_t{1} << 14};
}

CaseSizes gpt2_sizes() {
  return {.batch = 4,
          .length = 1024,
          .width = 768,
          .heads = 12,
          .vocabulary = 50257,
          .rows = 65536,
          .elements = std::int64_t{1} << 26};
}

std::vector<OpCase> op_cases(DType type, const CaseSizes& sizes) {
  Cases cases(type, sizes);
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
