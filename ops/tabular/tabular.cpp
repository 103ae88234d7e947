// The first layer of a model for tables: numeric features beside the vectors of categories.
#include "ops/contract.hpp"

namespace ingot {

namespace cpu {
void add_tabular_kernels(Registry& registry);  // tabular_cpu.cpp
}

namespace {

/// tabular_input: features f32[N,F], categories i32[N,K], table f[V,E] -> f[N, F + K*E] of the
/// table's element type: the features, then the table rows of the K categories. Categories count
/// rows of the one table, that is, each column's offset is added already. F or K may be 0. An
/// index outside the table ends the step with Error(kBadData).
class TabularInput final : public Op {
 public:
  std::string_view name() const override { return "tabular_input"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    expect_inputs(name(), inputs, 3, 3);
    const TensorType& features = inputs[0];
    const TensorType& categories = inputs[1];
    const TensorType& table = inputs[2];
    expect(features.dtype == DType::kF32 && features.shape.rank() == 2, name(), inputs,
           "features f32 [N, F]");
    expect(categories.dtype == DType::kI32 && categories.shape.rank() == 2 &&
               categories.shape[0] == features.shape[0],
           name(), inputs, "categories i32 [N, K]");
    expect(is_floating(table) && table.shape.rank() == 2, name(), inputs,
           "a table f32 or bf16 [V, E]");
    return {{table.dtype,
             Shape{features.shape[0], features.shape[1] + categories.shape[1] * table.shape[1]}}};
  }
  /// Reads only the rows that are looked up.
  Cost cost(const OpTypes& types) const override {
    const TensorType& y = types.outputs[0];
    const std::int64_t looked_up = types.inputs[1].count() * types.inputs[2].shape[1];
    return {.bytes_read =
                types.inputs[0].bytes() + types.inputs[1].bytes() + looked_up * size_of(y.dtype),
            .bytes_written = y.bytes()};
  }
  BackwardReads backward_reads(const Attributes& /*attributes*/) const override {
    return {0b010, 0};
  }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    if (!builder.wanted(2)) return;
    builder.emit(
        "tabular_input_backward", {builder.input(1), builder.output_gradient(0)},
        {{"features", builder.input_type(0).shape[1]}, {"rows", builder.input_type(2).shape[0]}},
        {2});
  }
};

/// tabular_input_backward: categories i32[N,K], dy f[N, F + K*E]; attributes integer features F,
/// integer rows V -> dtable f32[V,E]: row v is the sum of its parts of dy in the order of [N,K].
class TabularInputBackward final : public Op {
 public:
  std::string_view name() const override { return "tabular_input_backward"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 2, 2);
    const TensorType& categories = inputs[0];
    const TensorType& dy = inputs[1];
    expect(categories.dtype == DType::kI32 && categories.shape.rank() == 2 && is_floating(dy) &&
               dy.shape.rank() == 2 && dy.shape[0] == categories.shape[0],
           name(), inputs, "categories i32 [N, K] and dy f32 or bf16 [N, F + K*E]");
    const std::int64_t columns = categories.shape[1];
    const std::int64_t embedded = dy.shape[1] - attributes.integer("features");
    expect(columns > 0 && embedded >= 0 && embedded % columns == 0, name(), inputs,
           fmt::format("dy [N, {} + K*E] with K > 0", attributes.integer("features")));
    return {{DType::kF32, Shape{attributes.integer("rows"), embedded / columns}}};
  }
  Cost cost(const OpTypes& types) const override {
    const std::int64_t width = types.outputs[0].shape[1];
    const std::int64_t read = types.inputs[0].count() * width;
    return {.other_flops = static_cast<double>(read),
            .bytes_read = types.inputs[0].bytes() + read * size_of(types.inputs[1].dtype),
            .bytes_written = types.outputs[0].bytes()};
  }
  bool can_accumulate(int /*output*/) const override { return true; }
};

}  // namespace

void register_tabular(Registry& registry) {
  registry.add(std::make_unique<TabularInput>());
  registry.add(std::make_unique<TabularInputBackward>());
  cpu::add_tabular_kernels(registry);
}

}  // namespace ingot
