// What both model builders share: declaring parameters, and ops with one output.
#pragma once

#include <string>
#include <utility>

#include "ops/step_scalars.hpp"
#include "runtime/model/model.hpp"

namespace ingot {

class ModelBuilder {
 public:
  ModelBuilder(Model& model, DType type) : model_(model), type_(type) {}

  ValueId parameter(std::string name, Shape shape, ParameterKind kind, int layer, double init_std,
                    double init_value = 0) {
    const auto index = static_cast<int>(model_.parameters.size());
    const ValueId value = model_.graph.add_value({type_, shape}, name, Role::kParameter, index);
    model_.parameters.push_back({std::move(name), shape, kind, layer, init_std, init_value});
    return value;
  }
  ValueId input(const char* name, DType dtype, Shape shape) {
    return model_.graph.add_value({dtype, shape}, name, Role::kInput);
  }
  ValueId scalars() {
    if (scalars_ == kNoValue) {
      scalars_ = model_.graph.add_value(step_scalars_type(), buffer::kScalars, Role::kInput);
    }
    return scalars_;
  }
  /// First output of a new op.
  ValueId op(std::string_view name, std::vector<ValueId> inputs, Attributes attributes,
             std::string_view label) {
    return model_.graph.add(name, std::move(inputs), std::move(attributes), label).front();
  }
  ValueId linear(ValueId x, ValueId weight, ValueId bias, std::string_view label) {
    return op("linear", {x, weight, bias}, {{"activation", std::string("none")}}, label);
  }
  /// Makes a value an output of the run, f32 for the host.
  ValueId output(ValueId value, const char* name) {
    if (model_.graph.type(value).dtype == DType::kBf16) {
      value = op("cast", {value}, {{"dtype", std::string("f32")}}, name);
    }
    model_.graph.value(value).role = Role::kOutput;
    model_.graph.value(value).name = name;
    return value;
  }
  Graph& graph() { return model_.graph; }
  const TensorType& type_of(ValueId value) const { return model_.graph.type(value); }
  /// Ends a model: sums losses by sample and adds them to the step's sums.
  void finish_losses(ValueId losses, bool train) {
    model_.losses = losses;
    ValueId sums = op("loss_sums", {losses}, {}, "sample losses");
    if (train) graph().add("accumulate_loss", {sums, scalars()}, {}, "loss sum");
    model_.sample_losses = output(sums, buffer::kSampleLosses);
  }

 private:
  Model& model_;
  DType type_;
  ValueId scalars_ = kNoValue;
};

void build_gpt(Model& model, const ModelConfig& config, const ModelData& data, ModelMode mode,
               DType type, std::int64_t batch, std::int64_t length);
void build_mlp(Model& model, const ModelConfig& config, const ModelData& data, ModelMode mode,
               DType type, std::int64_t batch);

}  // namespace ingot
