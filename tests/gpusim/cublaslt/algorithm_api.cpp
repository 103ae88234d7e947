// The functions that choose, build and describe algorithms.
#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <vector>

#include "cublaslt/algorithms.hpp"
#include "cublaslt/attributes.hpp"
#include "cublaslt/library.hpp"

namespace gpusim::blas {

namespace {

cublasLtMatmulAlgo_t packed(const Algorithm& algorithm) {
  cublasLtMatmulAlgo_t opaque{};
  std::memcpy(&opaque, &algorithm, sizeof algorithm);
  return opaque;
}

template <typename T>
cublasStatus_t give_list(const std::vector<T>& list, void* value, size_t bytes, size_t* written) {
  const size_t needed = list.size() * sizeof(T);
  if (bytes == 0) {
    if (written == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    *written = needed;
    return CUBLAS_STATUS_SUCCESS;
  }
  if (value == nullptr || bytes % sizeof(T) != 0) return CUBLAS_STATUS_INVALID_VALUE;
  const size_t given = std::min(bytes, needed);
  std::memcpy(value, list.data(), given);
  if (written != nullptr) *written = given;
  return CUBLAS_STATUS_SUCCESS;
}

Attribute place(const Algorithm& algorithm, int number, const void* member, std::size_t bytes) {
  const auto* base = reinterpret_cast<const std::byte*>(&algorithm);
  return {number, static_cast<std::size_t>(static_cast<const std::byte*>(member) - base), bytes};
}

std::span<const Attribute> config_attributes() {
  static const Algorithm a;
  static const std::array table{
      place(a, CUBLASLT_ALGO_CONFIG_ID, &a.id, 4),
      place(a, CUBLASLT_ALGO_CONFIG_TILE_ID, &a.tile, 4),
      place(a, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &a.splits, 4),
      place(a, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &a.reduction, 4),
      place(a, CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, &a.swizzling, 4),
      place(a, CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, &a.custom_option, 4),
      place(a, CUBLASLT_ALGO_CONFIG_STAGES_ID, &a.stages, 4),
      place(a, CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, &a.inner_shape, 2),
      place(a, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, &a.cluster_shape, 2),
  };
  return table;
}

/// Whether the configuration is one that the algorithm's capabilities name.
bool possible(const Algorithm& algorithm) {
  const AlgorithmKind* kind = find_kind(algorithm.id);
  return kind != nullptr && algorithm.tile == kind->tile && algorithm.stages == kind->stages &&
         algorithm.splits >= 0 && (algorithm.splits <= 1 || kind->splits) &&
         (algorithm.reduction & ~kind->reductions) == 0 && algorithm.swizzling <= 1 &&
         algorithm.custom_option <= static_cast<std::uint32_t>(kind->custom_options);
}

}  // namespace

}  // namespace gpusim::blas

using namespace gpusim::blas;

extern "C" {

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle,
                                              cublasLtMatmulDesc_t description,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* returned) {
  const char* name = "cublasLtMatmulAlgoGetHeuristic";
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  const auto* product = contents<ProductDescription>(static_cast<const void*>(description));
  const auto* wishes = contents<Preference>(static_cast<const void*>(preference));
  if (product == nullptr || wishes == nullptr || requested < 1 || results == nullptr ||
      returned == nullptr) {
    return conclude(name, invalid("an argument is missing"));
  }
  *returned = 0;
  const Layouts layouts{
      contents<Layout>(static_cast<const void*>(a)), contents<Layout>(static_cast<const void*>(b)),
      contents<Layout>(static_cast<const void*>(c)), contents<Layout>(static_cast<const void*>(d))};
  ProductCall call;
  const Verdict verdict = check_problem(*product, layouts, call);
  if (!verdict.ok()) return conclude(name, verdict);
  for (const Candidate& candidate : candidates(*product, layouts, call, *wishes)) {
    if (wishes->search_mode == CUBLASLT_SEARCH_LIMITED_BY_ALGO_ID) {
      const auto* wanted = contents<Algorithm>(static_cast<const void*>(&results[0].algo));
      if (wanted == nullptr || wanted->id != candidate.algorithm.id) continue;
    }
    if (*returned == requested) break;
    cublasLtMatmulHeuristicResult_t& result = results[(*returned)++];
    result = {};
    result.algo = packed(candidate.algorithm);
    result.workspaceSize = candidate.workspace_bytes;
    result.state = CUBLAS_STATUS_SUCCESS;
    result.wavesCount = candidate.waves;
  }
  if (*returned == 0) return conclude(name, unsupported("no algorithm fits"));
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetIds(cublasLtHandle_t handle, cublasComputeType_t compute_type,
                                        cudaDataType_t scale_type, cudaDataType_t a,
                                        cudaDataType_t b, cudaDataType_t c, cudaDataType_t d,
                                        int requested, int ids[], int* returned) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (requested < 1 || ids == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  ProductCall call;
  const Verdict verdict = check_types(compute_type, scale_type, a, b, c, d, call);
  if (!verdict.ok()) return conclude("cublasLtMatmulAlgoGetIds", verdict);
  int count = 0;
  for (const AlgorithmKind& kind : algorithm_kinds()) {
    if (count < requested) ids[count++] = kind.id;
  }
  if (returned != nullptr) *returned = count;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t handle, cublasComputeType_t compute_type,
                                      cudaDataType_t scale_type, cudaDataType_t a, cudaDataType_t b,
                                      cudaDataType_t c, cudaDataType_t d, int id,
                                      cublasLtMatmulAlgo_t* algorithm) {
  const char* name = "cublasLtMatmulAlgoInit";
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  const AlgorithmKind* kind = find_kind(id);
  if (algorithm == nullptr || kind == nullptr) {
    return conclude(name, invalid("no algorithm " + std::to_string(id)));
  }
  ProductCall call;
  const Verdict verdict = check_types(compute_type, scale_type, a, b, c, d, call);
  if (!verdict.ok()) return conclude(name, verdict);
  *algorithm = packed(make_algorithm(*kind, compute_type, scale_type, a, b, c, d));
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t* algorithm,
                                       cublasLtMatmulHeuristicResult_t* result) {
  const char* name = "cublasLtMatmulAlgoCheck";
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  const auto* product = contents<ProductDescription>(static_cast<const void*>(description));
  const auto* chosen = contents<Algorithm>(static_cast<const void*>(algorithm));
  if (product == nullptr || chosen == nullptr || result == nullptr) {
    return conclude(name, invalid("an argument is missing"));
  }
  const Layouts layouts{
      contents<Layout>(static_cast<const void*>(a)), contents<Layout>(static_cast<const void*>(b)),
      contents<Layout>(static_cast<const void*>(c)), contents<Layout>(static_cast<const void*>(d))};
  ProductCall call;
  Verdict verdict = check_problem(*product, layouts, call);
  std::uint64_t workspace = 0;
  if (verdict.ok() && !possible(*chosen)) verdict = unsupported("an impossible configuration");
  if (verdict.ok()) verdict = check_algorithm(*chosen, *product, layouts, call, {}, workspace);
  const cublasLtMatmulAlgo_t kept = *algorithm;  // may lie inside *result
  const float waves = verdict.ok() ? waves_of(*chosen, call) : 0;
  *result = {};
  result->algo = kept;
  result->state = verdict.status;
  result->workspaceSize = workspace;
  result->wavesCount = waves;
  return conclude(name, verdict);
}

cublasStatus_t cublasLtMatmulAlgoCapGetAttribute(const cublasLtMatmulAlgo_t* algorithm,
                                                 cublasLtMatmulAlgoCapAttributes_t attribute,
                                                 void* value, size_t bytes, size_t* written) {
  const auto* chosen = contents<Algorithm>(static_cast<const void*>(algorithm));
  const AlgorithmKind* kind = chosen == nullptr ? nullptr : find_kind(chosen->id);
  if (kind == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  const auto give = [&](auto content) { return give_value(content, value, bytes, written); };
  switch (attribute) {
    case CUBLASLT_ALGO_CAP_SPLITK_SUPPORT:
      return give(std::int32_t{kind->splits});
    case CUBLASLT_ALGO_CAP_REDUCTION_SCHEME_MASK:
      return give(std::uint32_t{kind->reductions});
    case CUBLASLT_ALGO_CAP_CTA_SWIZZLING_SUPPORT:
    case CUBLASLT_ALGO_CAP_STRIDED_BATCH_SUPPORT:
    case CUBLASLT_ALGO_CAP_OUT_OF_PLACE_RESULT_SUPPORT:
    case CUBLASLT_ALGO_CAP_POINTER_ARRAY_BATCH_SUPPORT:
      return give(std::int32_t{1});
    case CUBLASLT_ALGO_CAP_UPLO_SUPPORT:
    case CUBLASLT_ALGO_CAP_CUSTOM_MEMORY_ORDER:
    case CUBLASLT_ALGO_CAP_LD_NEGATIVE:
    case CUBLASLT_ALGO_CAP_FLOATING_POINT_EMULATION_SUPPORT:
      return give(std::int32_t{0});
    case CUBLASLT_ALGO_CAP_TILE_IDS:
      return give_list(std::vector<std::uint32_t>{kind->tile}, value, bytes, written);
    case CUBLASLT_ALGO_CAP_STAGES_IDS:
      return give_list(std::vector<std::uint32_t>{kind->stages}, value, bytes, written);
    case CUBLASLT_ALGO_CAP_CUSTOM_OPTION_MAX:
      return give(std::int32_t{kind->custom_options});
    case CUBLASLT_ALGO_CAP_POINTER_MODE_MASK:
      return give(std::uint32_t{CUBLASLT_POINTER_MODE_MASK_HOST |
                                CUBLASLT_POINTER_MODE_MASK_DEVICE |
                                CUBLASLT_POINTER_MODE_MASK_DEVICE_VECTOR |
                                CUBLASLT_POINTER_MODE_MASK_ALPHA_DEVICE_VECTOR_BETA_ZERO |
                                CUBLASLT_POINTER_MODE_MASK_ALPHA_DEVICE_VECTOR_BETA_HOST});
    case CUBLASLT_ALGO_CAP_EPILOGUE_MASK:
      return give(std::uint32_t{0x3ff});
    case CUBLASLT_ALGO_CAP_NUMERICAL_IMPL_FLAGS:
      return give(std::uint64_t{CUBLASLT_NUMERICAL_IMPL_FLAGS_FMA});
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_D_BYTES:
      return give(std::uint32_t{kind->needs_alignment ? 16U : 1U});
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t* algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    const void* value, size_t bytes) {
  auto* object = contents<Algorithm>(static_cast<void*>(algorithm));
  if (attribute == CUBLASLT_ALGO_CONFIG_ID) return CUBLAS_STATUS_INVALID_VALUE;
  return set_attribute(config_attributes(), object, attribute, value, bytes);
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void* value, size_t bytes, size_t* written) {
  const auto* object = contents<Algorithm>(static_cast<const void*>(algorithm));
  return get_attribute(config_attributes(), object, attribute, value, bytes, written);
}

}  // extern "C"
