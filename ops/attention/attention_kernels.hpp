// What the CUDA kernels of attention are asked for, and the functions that launch them. Plain
// structs and CUDA's own types only: both nvcc and the host compiler read this file.
//
// A "row" of a tensor is one position; heads lie behind each other within a row, head_size elements
// each. Strides count elements. Every function returns the first error of its launches.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace ingot::cuda {

enum class AttentionElement : std::uint8_t { kF32, kBf16 };

/// Largest head size that a kernel exists for.
constexpr int kLargestHeadSize = 256;

/// Rows that lie `row` elements apart, those of the next batch element `batch` elements on.
struct AttentionRows {
  void* data = nullptr;
  std::int64_t row = 0;
  std::int64_t batch = 0;
};

struct AttentionSizes {
  AttentionElement element = AttentionElement::kF32;
  int batch = 0;
  int queries = 0;   ///< rows of queries and of out
  int keys = 0;      ///< rows of keys and values
  int heads = 0;     ///< of queries, H
  int kv_heads = 0;  ///< of keys and values, G; query head h uses h / (H / G)
  int head_size = 0;
};

/// Which keys a query sees: query t stands at position p = min(offset + t, keys - 1) and sees the
/// keys from its document's start up to p.
struct AttentionMask {
  const std::int32_t* documents = nullptr;  ///< [B, queries] or absent: start of t's document
  const std::int64_t* offset = nullptr;     ///< one number on the device, or absent: 0
};

/// Dropout of probabilities by the rule of the op's contract; off where rate is 0.
struct AttentionDropout {
  float rate = 0;
  std::int64_t layer = 0;
  const std::int64_t* samples = nullptr;  ///< [B]
  const std::uint64_t* seed = nullptr;    ///< one number on the device
};

struct AttentionForward {
  AttentionSizes sizes;
  AttentionMask mask;
  AttentionDropout dropout;
  AttentionRows query;
  AttentionRows key;
  AttentionRows value;
  AttentionRows out;
  float* log_sum_exp = nullptr;  ///< [B, H, queries], natural logarithm; absent where not wanted
};

/// Backward of a forward without offset: queries and keys are the same positions.
struct AttentionBackward {
  AttentionSizes sizes;
  AttentionMask mask;
  AttentionDropout dropout;
  AttentionRows query;
  AttentionRows key;
  AttentionRows value;
  AttentionRows out;
  AttentionRows out_gradient;
  const float* log_sum_exp = nullptr;  ///< [B, H, T]
  float* delta = nullptr;              ///< workspace f32 [B, H, T]
  AttentionRows query_gradient;
  AttentionRows key_gradient;
  AttentionRows value_gradient;
};

/// Few queries over a key/value cache; see attention_cached_kernels.cu.
struct AttentionDecode {
  AttentionSizes sizes;                  ///< keys: capacity of the cache
  const std::int64_t* offset = nullptr;  ///< positions in the cache before the first query's
  AttentionRows query;
  AttentionRows key;
  AttentionRows value;
  AttentionRows out;
  float* partial = nullptr;  ///< workspace, decode_workspace_floats(sizes)
};

/// Whether the tensor-core kernels take this: bf16, head size a multiple of 8, at most 128. Rows
/// and heads then begin on 16-byte boundaries.
bool uses_tensor_cores(const AttentionSizes& sizes);

/// Tensor cores; only where uses_tensor_cores().
cudaError_t attention_forward_tensor(const AttentionForward& arguments, cudaStream_t stream);
/// Plain multiply-adds in f32, for every element type and head size up to kLargestHeadSize.
cudaError_t attention_forward_plain(const AttentionForward& arguments, cudaStream_t stream);

/// delta = sum over the head of out * out_gradient; both backward passes read it.
cudaError_t attention_delta(const AttentionBackward& arguments, cudaStream_t stream);
cudaError_t attention_backward_tensor(const AttentionBackward& arguments, cudaStream_t stream);
cudaError_t attention_backward_plain(const AttentionBackward& arguments, cudaStream_t stream);

/// Copies keys and values of `queries` new rows into the cache from row *offset on, as far as it
/// has room. `key` and `value` are the cache's, `new_key` and `new_value` the new rows.
struct AttentionAppend {
  AttentionSizes sizes;
  const std::int64_t* offset = nullptr;
  AttentionRows new_key;
  AttentionRows new_value;
  AttentionRows key;
  AttentionRows value;
};
cudaError_t attention_append(const AttentionAppend& arguments, cudaStream_t stream);

std::int64_t decode_workspace_floats(const AttentionSizes& sizes);
cudaError_t attention_decode(const AttentionDecode& arguments, cudaStream_t stream);

/// Lets `kernel` use `bytes` of dynamic shared memory; above 48 KiB, static ones included, it has
/// to be asked for. All tiles of attention fit in 99 KiB, which every device from sm_80 on has.
template <typename Kernel>
cudaError_t allow_shared_memory(Kernel* kernel, int bytes) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                              cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

}  // namespace ingot::cuda
