// count_kernels --list | CASE: runs one use of an op, or of the tree sum of ordered reductions, at
// a size where tiles are full, once on the GPU and prints what it needs at least (Op::cost) as one
// line of JSON. Under gpusim, GPUSIM_REPORT then says what its kernels did: cuda_counters.py puts
// the two side by side.
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <random>

#include "collectives/algorithms/reduction_tree.hpp"
#include "collectives/cuda_collectives.hpp"
#include "ops/step_scalars.hpp"
#include "tests/ops/cuda_counters/attention_cases.hpp"
#include "tests/ops/run_op.hpp"

namespace ingot::test {
namespace {

struct Case {
  std::string op;
  std::vector<HostTensor> inputs;
  Attributes attributes;
  std::optional<LeastBytes> least = {};  ///< where it is not what Op::cost states
};

std::mt19937& generator() {
  static std::mt19937 engine(41);
  return engine;
}

HostTensor random(DType dtype, const Shape& shape, double low = -1, double high = 1) {
  return HostTensor::random({dtype, shape}, generator(), low, high);
}
HostTensor indices(const Shape& shape, std::int64_t rows) {
  return random(DType::kI32, shape, 0, static_cast<double>(rows));
}
HostTensor scalars() {
  StepScalars step;
  step.seed = 5;
  step.adam_step = 3;
  step.learning_rate = 1e-3;
  step.ema_decay = 0.999;
  return HostTensor::of_struct(step);
}

using Cases = std::map<std::string, std::function<Case()>>;

void add_maps(Cases& cases, DType dtype, const std::string& type) {
  const Shape shape{512, 4096};
  for (const std::string op : {"gelu", "relu"}) {
    cases[op + "." + type] = [=] { return Case{op, {random(dtype, shape)}, {}}; };
    cases[op + "_backward." + type] = [=] {
      return Case{op + "_backward", {random(dtype, shape), random(dtype, shape)}, {}};
    };
  }
  cases["add." + type] = [=] {
    return Case{"add", {random(dtype, shape), random(dtype, shape)}, {}};
  };
  cases["cast." + type] = [=] {
    const std::string to = dtype == DType::kF32 ? "bf16" : "f32";
    return Case{"cast", {random(dtype, shape)}, {{"dtype", to}}};
  };
  cases["swiglu." + type] = [=] { return Case{"swiglu", {random(dtype, shape)}, {}}; };
  cases["swiglu_backward." + type] = [=] {
    return Case{"swiglu_backward", {random(dtype, Shape{512, 2048}), random(dtype, shape)}, {}};
  };
  cases["dropout." + type] = [=] {
    return Case{"dropout",
                {random(dtype, Shape{8, 256, 1024}),
                 HostTensor({DType::kI64, Shape{8}}, {0, 1, 2, 3, 4, 5, 6, 7}), scalars()},
                {{"p", 0.1}, {"layer", std::int64_t{1}}}};
  };
  cases["rope." + type] = [=] {
    return Case{"rope",
                {random(dtype, Shape{2, 512, 32 * 64}), indices(Shape{2, 512}, 512)},
                {{"heads", std::int64_t{24}},
                 {"kv_heads", std::int64_t{4}},
                 {"direction", std::int64_t{1}},
                 {"base", 10000.0}}};
  };
}

/// `rows` of `columns`: 768 are a warp's, 4096 a block's.
void add_norms(Cases& cases, DType dtype, const std::string& type, std::int64_t rows,
               std::int64_t columns) {
  const std::string name = "." + type + "." + std::to_string(columns);
  const auto x = [=] { return random(dtype, Shape{rows, columns}); };
  const auto parameter = [=] { return random(dtype, Shape{columns}); };
  const auto statistic = [=] { return random(DType::kF32, Shape{rows}, 0.5, 1); };
  const Attributes epsilon{{"epsilon", 1e-5}};
  cases["layernorm" + name] = [=] {
    return Case{"layernorm", {x(), parameter(), parameter()}, epsilon};
  };
  cases["add_layernorm" + name] = [=] {
    return Case{"add_layernorm", {x(), x(), parameter(), parameter()}, epsilon};
  };
  cases["rmsnorm" + name] = [=] { return Case{"rmsnorm", {x(), parameter()}, epsilon}; };
  cases["add_rmsnorm" + name] = [=] {
    return Case{"add_rmsnorm", {x(), x(), parameter()}, epsilon};
  };
  cases["layernorm_backward" + name] = [=] {
    return Case{"layernorm_backward",
                {x(), x(), statistic(), statistic(), parameter(), x()},
                {{"bias", std::int64_t{1}}}};
  };
  cases["rmsnorm_backward" + name] = [=] {
    return Case{"rmsnorm_backward", {x(), x(), statistic(), parameter(), x()}, {}};
  };
}

void add_losses(Cases& cases, DType dtype, const std::string& type, std::int64_t columns) {
  for (const std::int64_t gradient : {0, 1}) {
    const std::string name = gradient != 0 ? "cross_entropy." : "cross_entropy_loss.";
    cases[name + type + "." + std::to_string(columns)] = [=] {
      return Case{"cross_entropy",
                  {random(dtype, Shape{32, columns}, -5, 5), indices(Shape{32}, columns)},
                  {{"gradient", gradient}}};
    };
  }
  cases["binary_cross_entropy." + type] = [=] {
    return Case{"binary_cross_entropy",
                {random(dtype, Shape{65536, 1}, -5, 5), indices(Shape{65536}, 2)},
                {{"gradient", std::int64_t{1}}, {"positive_weight", 2.0}}};
  };
}

void add_lookups(Cases& cases, DType dtype, const std::string& type) {
  cases["embedding." + type] = [=] {
    return Case{"embedding",
                {indices(Shape{8, 256}, 8192), random(dtype, Shape{8192, 768}),
                 indices(Shape{8, 256}, 256), random(dtype, Shape{256, 768})},
                {}};
  };
  cases["embedding_backward." + type] = [=] {
    return Case{"embedding_backward",
                {indices(Shape{16, 256}, 8192), random(dtype, Shape{16, 256, 768})},
                {{"rows", std::int64_t{8192}}}};
  };
  cases["tabular_input." + type] = [=] {
    return Case{"tabular_input",
                {random(DType::kF32, Shape{16384, 16}), indices(Shape{16384, 8}, 1000),
                 random(dtype, Shape{1000, 16})},
                {}};
  };
  // Rows enough that the partial tables of chunks weigh little, and not enough.
  for (const std::int64_t rows : {65536, 16384}) {
    const std::string name = "tabular_input_backward." + type + "." + std::to_string(rows);
    cases[name] = [=] {
      return Case{"tabular_input_backward",
                  {indices(Shape{rows, 8}, 1000), random(dtype, Shape{rows, 144})},
                  {{"features", std::int64_t{16}}, {"rows", std::int64_t{1000}}}};
    };
  }
}

void add_store_ops(Cases& cases) {
  constexpr std::int64_t kChunk = 1024;
  constexpr std::int64_t kChunks = 1024;
  const auto flat = [] { return random(DType::kF32, Shape{kChunk * kChunks}, 0, 1); };
  const auto add = [&](const std::string& op, std::size_t moments) {
    cases[op] = [=] {
      Case result{op,
                  {},
                  {{"chunk", kChunk},
                   {"beta1", 0.9},
                   {"beta2", 0.95},
                   {"epsilon", 1e-8},
                   {"momentum", 0.9}}};
      for (std::size_t i = 0; i < 2 + moments; ++i) result.inputs.push_back(flat());
      result.inputs.push_back(random(DType::kF32, Shape{kChunks, 2}, 0, 1));
      result.inputs.push_back(scalars());
      result.inputs.push_back(random(DType::kBf16, Shape{kChunk * kChunks}));
      return result;
    };
  };
  add("adamw", 2);
  add("lion", 1);
  add("sgd", 1);
  cases["ema"] = [=] { return Case{"ema", {flat(), flat(), scalars()}, {}}; };
  cases["square_sums"] = [=] { return Case{"square_sums", {flat()}, {{"chunk", kChunk}}}; };
  cases["finish_norm"] = [] {
    return Case{"finish_norm", {random(DType::kF64, Shape{131072}), scalars()}, {}};
  };
  cases["loss_sums"] = [] { return Case{"loss_sums", {random(DType::kF32, Shape{64, 1024})}, {}}; };
  cases["accumulate_loss"] = [] {
    return Case{"accumulate_loss", {random(DType::kF64, Shape{4096}), scalars()}, {}};
  };
  cases["record_loss"] = [] {
    return Case{"record_loss",
                {random(DType::kF64, Shape{4096}), scalars(), random(DType::kF64, Shape{64})},
                {}};
  };
  cases["sum_losses"] = [] {
    return Case{"sum_losses",
                {random(DType::kF64, Shape{4096}), scalars()},
                {{"interleaved", std::int64_t{1}}}};
  };
  cases["sum_losses.interleaved"] = [] {
    return Case{"sum_losses",
                {random(DType::kF64, Shape{4096}), scalars()},
                {{"interleaved", std::int64_t{8}}}};
  };
  cases["select_position"] = [] {
    return Case{"select_position", {random(DType::kBf16, Shape{64, 2, 4096}), scalars()}, {}};
  };
}

void add_attention(Cases& cases, const AttentionUse& use) {
  const Attributes attributes{
      {"heads", use.heads}, {"kv_heads", use.kv_heads}, {"layer", std::int64_t{0}}};
  const std::string name = "." + std::string(name_of(use.dtype)) + "." +
                           std::to_string(use.head_size) + (use.documents ? ".documents" : "");
  const auto documents = [=] { return use.documents ? documents_of(use) : HostTensor(); };
  cases["attention" + name] = [=] {
    return Case{"attention",
                {random(use.dtype, use.packed()), documents()},
                attributes,
                least_of_forward(use)};
  };
  cases["attention_backward" + name] = [=] {
    Case result{"attention_backward",
                {random(use.dtype, use.out()), random(use.dtype, use.packed()),
                 random(use.dtype, use.out()),
                 random(DType::kF32, Shape{use.batch, use.heads, use.tokens}, 5, 6), documents()},
                attributes,
                least_of_backward(use)};
    return result;
  };
  if (use.documents) return;
  cases["attention_cached" + name] = [=] {
    StepScalars step;
    step.cache_length = use.tokens - 1;
    return Case{"attention_cached",
                {random(use.dtype, Shape{use.batch, 1, use.packed()[2]}),
                 random(use.dtype, Shape{use.batch, 2, use.tokens, use.kv_heads * use.head_size}),
                 HostTensor::of_struct(step)},
                attributes,
                least_of_decoding(use)};
  };
}

Cases all_cases() {
  Cases cases;
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    const std::string type(name_of(dtype));
    add_maps(cases, dtype, type);
    add_norms(cases, dtype, type, 2048, 768);
    add_norms(cases, dtype, type, 512, 4096);
    add_losses(cases, dtype, type, dtype == DType::kF32 ? 50257 : 50304);
    add_lookups(cases, dtype, type);
  }
  add_store_ops(cases);
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    add_attention(cases, {.dtype = dtype});
    add_attention(cases, {.dtype = dtype, .head_size = 128});
    add_attention(cases, {.dtype = dtype, .documents = true});
  }
  return cases;
}

void run(const Case& chosen) {
  Registry registry;
  register_ops(registry);
  std::vector<HostTensor> inputs = chosen.inputs;
  const auto outputs = run_op(registry, chosen.op, inputs, chosen.attributes);
  const auto input_types = types_of(inputs);
  const auto output_types = types_of(outputs);
  const Cost cost =
      registry.find(chosen.op).cost(OpTypes{input_types, output_types, chosen.attributes});
  std::string types;
  for (const TensorType& type : input_types) {
    if (type == step_scalars_type()) continue;
    types += (types.empty() ? "" : ", ") + type.text();
  }
  const std::int64_t elements = (outputs.empty() ? input_types : output_types).back().count();
  const LeastBytes least = chosen.least.value_or(LeastBytes{cost.bytes_read, cost.bytes_written});
  std::printf(
      "{\"op\": \"%s\", \"types\": \"%s\", \"read\": %lld, \"written\": %lld, "
      "\"matrix_flops\": %.0f, \"elements\": %lld}\n",
      chosen.op.c_str(), types.c_str(), static_cast<long long>(least.read),
      static_cast<long long>(least.written), cost.matrix_flops,
      static_cast<long long>(std::max(elements, input_types[0].count())));
}

/// The kernel of ordered reductions, which is no op: `blocks` partial sums of one level.
void run_tree_sum(int blocks) {
  constexpr std::int64_t kCount = 1 << 16;
  std::vector<TreeSumItem> items;
  for (const int merges : aligned_merges(blocks)) {
    items.push_back({static_cast<std::int64_t>(items.size()), merges});
  }
  Device& device = cuda_device();
  const auto stream = device.create_stream("compute");
  const Buffer from = device.allocate(4 * blocks * kCount, "blocks");
  const Buffer to = device.allocate(4 * kCount, "sum");
  device.fill_zero(*stream, from.data(), from.bytes());
  load_cuda_collectives().tree_sum(*stream, TreeSum(std::move(items)),
                                   static_cast<float*>(to.data()),
                                   static_cast<const float*>(from.data()), kCount);
  stream->synchronize();
  std::printf(
      "{\"op\": \"tree_sum\", \"types\": \"f32[%d, %lld]\", \"read\": %lld, \"written\": %lld, "
      "\"matrix_flops\": 0, \"elements\": %lld}\n",
      blocks, static_cast<long long>(kCount), static_cast<long long>(from.bytes()),
      static_cast<long long>(to.bytes()), static_cast<long long>(kCount));
}

/// The blocks of its cases.
const std::map<std::string, int>& tree_sums() {
  static const std::map<std::string, int> cases = {
      {"tree_sum.3", 3}, {"tree_sum.8", 8}, {"tree_sum.72", 72}};
  return cases;
}

}  // namespace
}  // namespace ingot::test

int main(int count, char** arguments) {
  const auto cases = ingot::test::all_cases();
  const auto& tree_sums = ingot::test::tree_sums();
  const std::string wanted = count == 2 ? arguments[1] : "";
  if (wanted == "--list") {
    for (const auto& [name, make] : cases) std::puts(name.c_str());
    for (const auto& [name, blocks] : tree_sums) std::puts(name.c_str());
    return 0;
  }
  const auto found = cases.find(wanted);
  if (found == cases.end() && !tree_sums.contains(wanted)) {
    std::fprintf(stderr, "count_kernels --list | CASE\n");
    return 64;
  }
  try {
    if (found == cases.end()) {
      ingot::test::run_tree_sum(tree_sums.at(wanted));
    } else {
      ingot::test::run(found->second());
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", wanted.c_str(), error.what());
    return 70;
  }
  return ::testing::Test::HasFailure() ? 1 : 0;
}
