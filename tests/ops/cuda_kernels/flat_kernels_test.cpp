// Kernels that walk over elements: activations, add and cast, dropout, the optimizers and the norm
// of a gradient, in whole vectors, with a rest, and element by element.
#include "ops/step_scalars.hpp"
#include "tests/ops/cuda_kernels/against_cpu.hpp"

namespace ingot::test {
namespace {

class FlatKernels : public AgainstCpu {
 protected:
  HostTensor step_scalars() const {
    StepScalars step;
    step.seed = 77;
    step.adam_step = 12;
    step.learning_rate = 0.01;
    step.gradient_scale = 0.3;
    step.ema_decay = 0.99;
    step.counted = 3;
    return HostTensor::of_struct(step);
  }
  /// Master, gradient, moments, factors, scalars, bf16 copy.
  std::vector<HostTensor> store(std::size_t moments, std::int64_t chunks, std::int64_t chunk) {
    const Shape flat{chunks * chunk};
    std::vector<HostTensor> inputs;
    // Second moments are not negative.
    for (std::size_t i = 0; i < 2 + moments; ++i) {
      inputs.push_back(random(DType::kF32, flat, i > 2 ? 0 : -1, 1));
    }
    inputs.push_back(random(DType::kF32, Shape{chunks, 2}, 0, 0.5));
    inputs.push_back(step_scalars());
    inputs.push_back(random(DType::kBf16, flat));
    return inputs;
  }
};

TEST_F(FlatKernels, MapElements) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const std::int64_t count : {1, 8, 4096, 70003}) {
      const HostTensor a = random(dtype, Shape{count}, -5, 5);
      const HostTensor b = random(dtype, Shape{count}, -5, 5);
      for (const char* op : {"gelu", "relu"}) compare(op, {a}, {});
      for (const char* op : {"gelu_backward", "relu_backward", "add"}) compare(op, {a, b}, {});
      for (const char* type : {"f32", "bf16"}) {
        compare("cast", {a}, {{"dtype", std::string(type)}}, 1e-9);
      }
      compare("copy", {a}, {}, 1e-9);
    }
    for (const std::int64_t columns : {8, 24, 1000, 13}) {
      compare("swiglu", {random(dtype, Shape{45, 2 * columns}, -5, 5)}, {});
      compare("swiglu_backward",
              {random(dtype, Shape{45, columns}), random(dtype, Shape{45, 2 * columns}, -5, 5)},
              {});
    }
  }
}

TEST_F(FlatKernels, DropTheElementsThatTheCpuDrops) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const std::int64_t per_sample : {1, 4, 12, 8, 1000, 1003, 20000}) {
      compare("dropout",
              {random(dtype, Shape{5, per_sample}),
               HostTensor({DType::kI64, Shape{5}}, {0, 3, 0x1p40, 7, 2}), step_scalars()},
              {{"p", 0.3}, {"layer", std::int64_t{3}}}, 1e-7);
    }
  }
}

TEST_F(FlatKernels, UpdateTheStoreAsTheCpuDoes) {
  for (const std::int64_t chunk : {4, 33, 1024, 1030}) {
    const Attributes betas{
        {"beta1", 0.9}, {"beta2", 0.95}, {"epsilon", 1e-8}, {"chunk", chunk}, {"momentum", 0.9}};
    compare("adamw", store(2, 70, chunk), betas, 1e-6);
    compare("lion", store(1, 70, chunk), betas, 1e-6);
    compare("sgd", store(1, 70, chunk), betas, 1e-6);
    compare("ema",
            {random(DType::kF32, Shape{70 * chunk}), random(DType::kF32, Shape{70 * chunk}),
             step_scalars()},
            {}, 1e-7);
    compare("square_sums", {random(DType::kF32, Shape{70 * chunk}, -1e20, 1e20)},
            {{"chunk", chunk}}, 1e-13);
  }
}

TEST_F(FlatKernels, TheNormIsTheExactSumWhereverZerosStand) {
  // The chunks of zeros that pad a store move with the number of ranks.
  std::vector<double> partials(3000);
  std::uniform_real_distribution<double> uniform(0, 1e3);
  for (double& partial : partials) partial = uniform(generator_);
  std::vector<double> norms;
  for (const std::size_t zeros : {std::size_t{0}, std::size_t{1}, std::size_t{77}}) {
    std::vector<double> padded = partials;
    padded.insert(padded.begin() + 1000, zeros, 0.0);
    std::vector<HostTensor> inputs = {
        HostTensor({DType::kF64, Shape{static_cast<std::int64_t>(padded.size())}}, padded),
        step_scalars()};
    run_op(registry_, "finish_norm", inputs, {});
    StepScalars step;
    std::memcpy(&step, inputs[1].data(), sizeof(step));
    norms.push_back(step.gradient_norm);
  }
  EXPECT_EQ(norms[0], norms[1]);
  EXPECT_EQ(norms[0], norms[2]);
}

}  // namespace
}  // namespace ingot::test
