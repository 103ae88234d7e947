// What the opaque descriptors of cuBLASLt hold. Programs may keep them in structs of their own of
// the sizes that the header states (the *Init functions), so each is a plain struct that fits.
#pragma once

#include <cublasLt.h>

#include <cstdint>

namespace gpusim::blas {

/// The first word of each live descriptor, so that a foreign or destroyed one is noticed.
enum class Kind : std::uint32_t {
  kNone = 0,
  kLayout = 0x67736c61,
  kProduct = 0x67736d64,
  kPreference = 0x67737072,
  kTransform = 0x67737472,
  kEmulation = 0x6773656d,
  kAlgorithm = 0x6773616c,
};

struct Layout {
  Kind kind = Kind::kLayout;
  std::uint32_t type = CUDA_R_32F;
  std::int32_t order = CUBLASLT_ORDER_COL;
  std::int32_t batch_count = 1;
  std::uint64_t rows = 0, columns = 0;
  std::int64_t leading = 0;
  std::int64_t batch_stride = 0;
  std::int64_t plane_offset = 0;
  std::uint32_t batch_mode = CUBLASLT_BATCH_MODE_STRIDED;
};

struct ProductDescription {
  Kind kind = Kind::kProduct;
  std::int32_t compute_type = CUBLAS_COMPUTE_32F;
  std::int32_t scale_type = CUDA_R_32F;
  std::int32_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  std::int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N, transpose_c = CUBLAS_OP_N;
  std::int32_t fill_mode = CUBLAS_FILL_MODE_FULL;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  std::int32_t bias_type = -1;
  std::uint64_t bias = 0;
  std::int64_t bias_batch_stride = 0;
  std::uint64_t aux = 0;
  std::int64_t aux_leading = 0;
  std::int64_t aux_batch_stride = 0;
  std::int64_t alpha_batch_stride = 0;
  std::int32_t aux_type = -1;
  std::int32_t multiprocessor_target = 0;
  /// Scaling of narrow types, which is not simulated; kept so that it can be refused.
  std::uint64_t a_scale = 0, b_scale = 0, c_scale = 0, d_scale = 0, d_out_scale = 0;
  std::uint64_t aux_scale = 0, d_maximum = 0, aux_maximum = 0;
  std::int32_t a_scale_mode = 0, b_scale_mode = 0, c_scale_mode = 0, d_scale_mode = 0;
  std::int32_t aux_scale_mode = 0, d_out_scale_mode = 0;
  std::uint64_t emulation = 0;
  std::int8_t fast_accumulation = 0;
};

struct Preference {
  Kind kind = Kind::kPreference;
  std::uint32_t search_mode = CUBLASLT_SEARCH_BEST_FIT;
  std::uint64_t workspace_bytes = 0;
  std::uint32_t reduction_mask = CUBLASLT_REDUCTION_SCHEME_MASK;
  std::uint32_t alignment_a = 256, alignment_b = 256, alignment_c = 256, alignment_d = 256;
  float waves = 0;
  std::uint64_t implementation_mask = ~0ULL;
};

struct TransformDescription {
  Kind kind = Kind::kTransform;
  std::int32_t scale_type = CUDA_R_32F;
  std::int32_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  std::int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
};

struct EmulationDescription {
  Kind kind = Kind::kEmulation;
  std::int32_t strategy = 0, special_values = 0, mantissa_control = 0, mantissa_bits_most = 0,
               mantissa_bit_offset = 0;
  std::uint64_t mantissa_bit_count = 0;
};

/// The id says which algorithm, the rest how it is configured and for which types.
struct Algorithm {
  Kind kind = Kind::kAlgorithm;
  std::int32_t id = 0;
  std::uint32_t tile = 0, stages = 0;
  std::int32_t splits = 1;
  std::uint32_t reduction = 0, swizzling = 0, custom_option = 0;
  std::uint16_t inner_shape = 0, cluster_shape = 0;
  std::uint8_t compute_type = 0, scale_type = 0, a_type = 0, b_type = 0, c_type = 0, d_type = 0;
};

static_assert(sizeof(Layout) <= sizeof(cublasLtMatrixLayoutOpaque_t));
static_assert(sizeof(ProductDescription) <= sizeof(cublasLtMatmulDescOpaque_t));
static_assert(sizeof(Preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t));
static_assert(sizeof(TransformDescription) <= sizeof(cublasLtMatrixTransformDescOpaque_t));
static_assert(sizeof(EmulationDescription) <= sizeof(cublasLtEmulationDescOpaque_t));
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

/// The contents of a descriptor, null where it is none of that kind.
template <typename T>
T* contents(void* opaque) {
  auto* object = static_cast<T*>(opaque);
  return object != nullptr && object->kind == T{}.kind ? object : nullptr;
}
template <typename T>
const T* contents(const void* opaque) {
  const auto* object = static_cast<const T*>(opaque);
  return object != nullptr && object->kind == T{}.kind ? object : nullptr;
}

}  // namespace gpusim::blas
