// attention on CUDA: which of the kernels of attention_kernels.hpp runs a use, and with what
// memory.
#include <cstddef>
#include <memory>

#include "ops/attention/attention_kernels.hpp"
#include "ops/contract.hpp"
#include "ops/cuda_kernel.hpp"
#include "ops/step_scalars.hpp"

namespace ingot {

namespace cuda {

namespace {

/// Up to so many queries over the cache, each is computed by itself from many blocks; more share
/// tiles of keys like in training.
constexpr int kMostDecodedQueries = 8;

AttentionSizes sizes_of(const TensorType& qkv, const Attributes& attributes) {
  AttentionSizes sizes;
  sizes.element = qkv.dtype == DType::kBf16 ? AttentionElement::kBf16 : AttentionElement::kF32;
  sizes.batch = static_cast<int>(qkv.shape[0]);
  sizes.queries = static_cast<int>(qkv.shape[1]);
  sizes.keys = sizes.queries;
  sizes.heads = static_cast<int>(attributes.integer("heads"));
  sizes.kv_heads = static_cast<int>(attributes.integer("kv_heads"));
  sizes.head_size = static_cast<int>(qkv.shape[2] / (sizes.heads + 2 * sizes.kv_heads));
  // Batch elements and heads are the second and third dimension of the grids.
  ensure(qkv.shape[0] * qkv.shape[1] < (std::int64_t{1} << 31) && qkv.shape[0] <= 65535 &&
             sizes.heads <= 65535,
         "a batch of attention that fits the grid of a kernel");
  if (sizes.head_size > kLargestHeadSize) {
    fail(
        ExitCode::kConfiguration,
        "attention on a GPU takes heads of up to {} elements; here they have {}: use more heads or "
        "a smaller width, or device: cpu",
        kLargestHeadSize, sizes.head_size);
  }
  return sizes;
}

/// Queries, keys and values of packed rows; the three differ in where they begin.
struct PackedRows {
  AttentionRows query;
  AttentionRows key;
  AttentionRows value;

  PackedRows(const AttentionSizes& sizes, DType dtype, void* qkv) {
    const std::int64_t width = std::int64_t{sizes.heads + 2 * sizes.kv_heads} * sizes.head_size;
    const std::int64_t head_bytes = sizes.head_size * size_of(dtype);
    query = {qkv, width, width * sizes.queries};
    key = query;
    key.data = static_cast<std::byte*>(qkv) + sizes.heads * head_bytes;
    value = query;
    value.data = static_cast<std::byte*>(qkv) + (sizes.heads + sizes.kv_heads) * head_bytes;
  }
};

AttentionRows rows_of_out(const AttentionSizes& sizes, void* out) {
  const std::int64_t width = std::int64_t{sizes.heads} * sizes.head_size;
  return {out, width, width * sizes.queries};
}

template <typename Field>
const Field* scalar(std::span<const TensorView> inputs, std::size_t index, std::size_t offset) {
  const void* scalars = data_of(inputs, index);
  if (scalars == nullptr) return nullptr;
  return reinterpret_cast<const Field*>(static_cast<const std::byte*>(scalars) + offset);
}

/// samples? and scalars?, which stand from input `first` on.
AttentionDropout dropout_of(const Attributes& attributes, std::span<const TensorView> inputs,
                            std::size_t first) {
  AttentionDropout dropout;
  dropout.rate = static_cast<float>(attributes.real("dropout", 0));
  dropout.layer = attributes.integer("layer", 0);
  dropout.samples = static_cast<const std::int64_t*>(data_of(inputs, first));
  dropout.seed = scalar<std::uint64_t>(inputs, first + 1, offsetof(StepScalars, seed));
  return dropout;
}

cudaError_t forward(const AttentionForward& arguments, cudaStream_t stream) {
  return uses_tensor_cores(arguments.sizes) ? attention_forward_tensor(arguments, stream)
                                            : attention_forward_plain(arguments, stream);
}

std::unique_ptr<Kernel> prepare_attention(const PrepareContext& context) {
  const TensorType& qkv = context.types.inputs[0];
  const AttentionSizes sizes = sizes_of(qkv, context.types.attributes);
  return make_cuda_kernel([sizes, dtype = qkv.dtype, attributes = context.types.attributes](
                              cudaStream_t stream, const KernelArguments& arguments) {
    const PackedRows rows(sizes, dtype, arguments.inputs[0].data);
    AttentionForward use;
    use.sizes = sizes;
    use.mask.documents = static_cast<const std::int32_t*>(data_of(arguments.inputs, 1));
    use.dropout = dropout_of(attributes, arguments.inputs, 2);
    use.query = rows.query;
    use.key = rows.key;
    use.value = rows.value;
    use.out = rows_of_out(sizes, arguments.outputs[0].data);
    use.log_sum_exp = arguments.outputs[1].as<float>();
    check(forward(use, stream), "attention");
  });
}

std::unique_ptr<Kernel> prepare_attention_backward(const PrepareContext& context) {
  const TensorType& qkv = context.types.inputs[1];
  const AttentionSizes sizes = sizes_of(qkv, context.types.attributes);
  const std::int64_t workspace = context.types.inputs[3].bytes();
  return make_cuda_kernel(
      [sizes, dtype = qkv.dtype, attributes = context.types.attributes](
          cudaStream_t stream, const KernelArguments& arguments) {
        const PackedRows rows(sizes, dtype, arguments.inputs[1].data);
        const PackedRows gradients(sizes, dtype, arguments.outputs[0].data);
        AttentionBackward use;
        use.sizes = sizes;
        use.mask.documents = static_cast<const std::int32_t*>(data_of(arguments.inputs, 4));
        use.dropout = dropout_of(attributes, arguments.inputs, 5);
        use.query = rows.query;
        use.key = rows.key;
        use.value = rows.value;
        use.out_gradient = rows_of_out(sizes, arguments.inputs[0].data);
        use.out = rows_of_out(sizes, arguments.inputs[2].data);
        use.log_sum_exp = arguments.inputs[3].as<float>();
        use.delta = reinterpret_cast<float*>(arguments.workspace.data());
        use.query_gradient = gradients.query;
        use.key_gradient = gradients.key;
        use.value_gradient = gradients.value;
        check(attention_delta(use, stream), "attention_backward: delta");
        check(uses_tensor_cores(sizes) ? attention_backward_tensor(use, stream)
                                       : attention_backward_plain(use, stream),
              "attention_backward");
      },
      workspace);
}

std::unique_ptr<Kernel> prepare_attention_cached(const PrepareContext& context) {
  const TensorType& qkv = context.types.inputs[0];
  AttentionSizes sizes = sizes_of(qkv, context.types.attributes);
  sizes.keys = static_cast<int>(context.types.inputs[1].shape[2]);
  const bool decode = sizes.queries <= kMostDecodedQueries;
  const std::int64_t workspace = decode ? decode_workspace_floats(sizes) * size_of(DType::kF32) : 0;
  return make_cuda_kernel(
      [sizes, decode, dtype = qkv.dtype](cudaStream_t stream, const KernelArguments& arguments) {
        const PackedRows rows(sizes, dtype, arguments.inputs[0].data);
        const auto* offset =
            scalar<std::int64_t>(arguments.inputs, 2, offsetof(StepScalars, cache_length));
        // cache f[B, 2, C, G * D]: keys, then values.
        const std::int64_t cache_row = std::int64_t{sizes.kv_heads} * sizes.head_size;
        const std::int64_t plane = cache_row * sizes.keys;
        auto* cache = static_cast<std::byte*>(arguments.inputs[1].data);
        const AttentionRows keys{cache, cache_row, 2 * plane};
        const AttentionRows values{cache + plane * size_of(dtype), cache_row, 2 * plane};
        const AttentionRows out = rows_of_out(sizes, arguments.outputs[0].data);

        check(attention_append({sizes, offset, rows.key, rows.value, keys, values}, stream),
              "attention_cached: append");
        if (decode) {
          auto* partial = reinterpret_cast<float*>(arguments.workspace.data());
          check(attention_decode({sizes, offset, rows.query, keys, values, out, partial}, stream),
                "attention_cached: decode");
          return;
        }
        AttentionForward use;
        use.sizes = sizes;
        use.mask.offset = offset;
        use.query = rows.query;
        use.key = keys;
        use.value = values;
        use.out = out;
        check(forward(use, stream), "attention_cached: prefill");
      },
      workspace);
}

}  // namespace

}  // namespace cuda

void register_attention_cuda(Registry& registry) {
  registry.add_kernel("attention", DeviceKind::kCuda, cuda::prepare_attention);
  registry.add_kernel("attention_backward", DeviceKind::kCuda, cuda::prepare_attention_backward);
  registry.add_kernel("attention_cached", DeviceKind::kCuda, cuda::prepare_attention_cached);
}

}  // namespace ingot
