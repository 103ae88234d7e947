// linear on the CPU: uses of MatrixProduct, and column sums for the bias.
#include "ops/linear/linear_cpu.hpp"

#include <utility>

#include "ops/contract.hpp"
#include "ops/cpu_kernel.hpp"
#include "ops/gelu_backward.hpp"
#include "ops/linear/linear_simd.hpp"
#include "ops/linear/matrix_product.hpp"

namespace ingot::cpu {

namespace {

int threads_of(const PrepareContext& context) {
  return static_cast<CpuDevice&>(context.device).pool().threads();
}

}  // namespace

std::unique_ptr<Kernel> prepare_linear(const PrepareContext& context) {
  const TensorType& x = context.types.inputs[0];
  const Shape& weight = context.types.inputs[1].shape;
  ProductDescription description;
  description.rows = x.shape.leading_count();
  description.columns = weight[0];
  description.depth = weight[1];
  description.b_transposed = true;
  description.operands = x.dtype;
  description.result = x.dtype;
  description.bias = context.types.has_input(2);
  description.gelu = context.types.outputs.size() > 1;
  auto product = create_matrix_product(description, threads_of(context));
  const std::int64_t workspace = product->workspace_bytes();
  return make_cpu_kernel(
      [product = std::move(product)](ThreadPool& pool, const KernelArguments& arguments) {
        product->run(pool,
                     {.a = arguments.inputs[0].data,
                      .b = arguments.inputs[1].data,
                      .bias = data_of(arguments.inputs, 2),
                      .pre = arguments.outputs.size() > 1 ? arguments.outputs[1].data : nullptr,
                      .c = arguments.outputs[0].data,
                      .workspace = arguments.workspace.data()});
      },
      workspace);
}

namespace {

/// dx = dy W.
std::unique_ptr<MatrixProduct> input_gradient(const PrepareContext& context) {
  const TensorType& dy = context.types.inputs[0];
  const Shape& weight = context.types.inputs[1].shape;
  ProductDescription description;
  description.rows = dy.shape.leading_count();
  description.columns = weight[1];
  description.depth = weight[0];
  description.operands = dy.dtype;
  description.result = dy.dtype;
  description.accumulate = (context.accumulate & 1U) != 0;
  return create_matrix_product(description, threads_of(context));
}

void run_input_gradient(MatrixProduct& product, ThreadPool& pool,
                        const KernelArguments& arguments) {
  product.run(pool, {.a = arguments.inputs[0].data,
                     .b = arguments.inputs[1].data,
                     .c = arguments.outputs[0].data,
                     .workspace = arguments.workspace.data()});
}

}  // namespace

std::unique_ptr<Kernel> prepare_linear_backward_input(const PrepareContext& context) {
  auto product = input_gradient(context);
  const std::int64_t workspace = product->workspace_bytes();
  return make_cpu_kernel(
      [product = std::move(product)](ThreadPool& pool, const KernelArguments& arguments) {
        run_input_gradient(*product, pool, arguments);
      },
      workspace);
}

std::unique_ptr<Kernel> prepare_linear_backward_gelu(const PrepareContext& context) {
  auto product = input_gradient(context);
  const std::int64_t workspace = product->workspace_bytes();
  return make_cpu_kernel(
      [product = std::move(product)](ThreadPool& pool, const KernelArguments& arguments) {
        run_input_gradient(*product, pool, arguments);
        gelu_backward(pool, arguments.outputs[0], arguments.inputs[2], arguments.outputs[0]);
      },
      workspace);
}

std::unique_ptr<Kernel> prepare_linear_backward_weight(const PrepareContext& context) {
  const TensorType& dy = context.types.inputs[0];
  const TensorType& x = context.types.inputs[1];
  ProductDescription description;
  description.rows = dy.shape[-1];
  description.columns = x.shape[-1];
  description.depth = dy.shape.leading_count();
  description.a_transposed = true;
  description.operands = dy.dtype;
  description.result = DType::kF32;
  description.accumulate = (context.accumulate & 1U) != 0;
  const bool accumulate_bias = (context.accumulate & 2U) != 0;
  auto product = create_matrix_product(description, threads_of(context));
  const std::int64_t workspace = product->workspace_bytes();
  return make_cpu_kernel(
      [product = std::move(product), rows = description.depth, columns = description.rows,
       dtype = dy.dtype, accumulate_bias](ThreadPool& pool, const KernelArguments& arguments) {
        const auto* gradient = static_cast<const std::byte*>(arguments.inputs[0].data);
        if (arguments.outputs.size() > 1) {
          auto* sums = arguments.outputs[1].as<float>();
          // A piece is two cache lines or more of every row.
          pool.parallel_for(columns, 128, [&](std::int64_t begin, std::int64_t end) {
            sum_columns(dtype, gradient + begin * size_of(dtype), columns, rows, end - begin,
                        sums + begin, accumulate_bias);
          });
        }
        product->run(pool, {.a = gradient,
                            .b = arguments.inputs[1].data,
                            .c = arguments.outputs[0].data,
                            .workspace = arguments.workspace.data()});
      },
      workspace);
}

}  // namespace ingot::cpu
