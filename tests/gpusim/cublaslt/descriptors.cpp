// Creation, attributes and destruction of the descriptors of cuBLASLt.
#include <array>
#include <cstddef>
#include <new>

#include "cublaslt/attributes.hpp"
#include "cublaslt/objects.hpp"

namespace gpusim::blas {

namespace {

template <typename Member, typename Object>
Attribute at(int number, Member Object::*member) {
  static const Object object{};
  const auto* base = reinterpret_cast<const std::byte*>(&object);
  const auto* place = reinterpret_cast<const std::byte*>(&(object.*member));
  return {number, static_cast<std::size_t>(place - base), sizeof(Member)};
}

std::span<const Attribute> layout_attributes() {
  static const std::array table{
      at(CUBLASLT_MATRIX_LAYOUT_TYPE, &Layout::type),
      at(CUBLASLT_MATRIX_LAYOUT_ORDER, &Layout::order),
      at(CUBLASLT_MATRIX_LAYOUT_ROWS, &Layout::rows),
      at(CUBLASLT_MATRIX_LAYOUT_COLS, &Layout::columns),
      at(CUBLASLT_MATRIX_LAYOUT_LD, &Layout::leading),
      at(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &Layout::batch_count),
      at(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &Layout::batch_stride),
      at(CUBLASLT_MATRIX_LAYOUT_PLANE_OFFSET, &Layout::plane_offset),
      at(CUBLASLT_MATRIX_LAYOUT_BATCH_MODE, &Layout::batch_mode),
  };
  return table;
}

std::span<const Attribute> product_attributes() {
  using D = ProductDescription;
  static const std::array table{
      at(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, &D::compute_type),
      at(CUBLASLT_MATMUL_DESC_SCALE_TYPE, &D::scale_type),
      at(CUBLASLT_MATMUL_DESC_POINTER_MODE, &D::pointer_mode),
      at(CUBLASLT_MATMUL_DESC_TRANSA, &D::transpose_a),
      at(CUBLASLT_MATMUL_DESC_TRANSB, &D::transpose_b),
      at(CUBLASLT_MATMUL_DESC_TRANSC, &D::transpose_c),
      at(CUBLASLT_MATMUL_DESC_FILL_MODE, &D::fill_mode),
      at(CUBLASLT_MATMUL_DESC_EPILOGUE, &D::epilogue),
      at(CUBLASLT_MATMUL_DESC_BIAS_POINTER, &D::bias),
      at(CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, &D::bias_batch_stride),
      at(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &D::aux),
      at(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &D::aux_leading),
      at(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE, &D::aux_batch_stride),
      at(CUBLASLT_MATMUL_DESC_ALPHA_VECTOR_BATCH_STRIDE, &D::alpha_batch_stride),
      at(CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, &D::multiprocessor_target),
      at(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &D::a_scale),
      at(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &D::b_scale),
      at(CUBLASLT_MATMUL_DESC_C_SCALE_POINTER, &D::c_scale),
      at(CUBLASLT_MATMUL_DESC_D_SCALE_POINTER, &D::d_scale),
      at(CUBLASLT_MATMUL_DESC_AMAX_D_POINTER, &D::d_maximum),
      at(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, &D::aux_type),
      at(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_SCALE_POINTER, &D::aux_scale),
      at(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_AMAX_POINTER, &D::aux_maximum),
      at(CUBLASLT_MATMUL_DESC_FAST_ACCUM, &D::fast_accumulation),
      at(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &D::bias_type),
      at(CUBLASLT_MATMUL_DESC_A_SCALE_MODE, &D::a_scale_mode),
      at(CUBLASLT_MATMUL_DESC_B_SCALE_MODE, &D::b_scale_mode),
      at(CUBLASLT_MATMUL_DESC_C_SCALE_MODE, &D::c_scale_mode),
      at(CUBLASLT_MATMUL_DESC_D_SCALE_MODE, &D::d_scale_mode),
      at(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_SCALE_MODE, &D::aux_scale_mode),
      at(CUBLASLT_MATMUL_DESC_D_OUT_SCALE_POINTER, &D::d_out_scale),
      at(CUBLASLT_MATMUL_DESC_D_OUT_SCALE_MODE, &D::d_out_scale_mode),
      at(CUBLASLT_MATMUL_DESC_EMULATION_DESCRIPTOR, &D::emulation),
  };
  return table;
}

std::span<const Attribute> preference_attributes() {
  using P = Preference;
  static const std::array table{
      at(CUBLASLT_MATMUL_PREF_SEARCH_MODE, &P::search_mode),
      at(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &P::workspace_bytes),
      at(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &P::reduction_mask),
      at(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &P::alignment_a),
      at(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &P::alignment_b),
      at(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &P::alignment_c),
      at(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &P::alignment_d),
      at(CUBLASLT_MATMUL_PREF_MAX_WAVES_COUNT, &P::waves),
      at(CUBLASLT_MATMUL_PREF_IMPL_MASK, &P::implementation_mask),
  };
  return table;
}

std::span<const Attribute> transform_attributes() {
  using T = TransformDescription;
  static const std::array table{
      at(CUBLASLT_MATRIX_TRANSFORM_DESC_SCALE_TYPE, &T::scale_type),
      at(CUBLASLT_MATRIX_TRANSFORM_DESC_POINTER_MODE, &T::pointer_mode),
      at(CUBLASLT_MATRIX_TRANSFORM_DESC_TRANSA, &T::transpose_a),
      at(CUBLASLT_MATRIX_TRANSFORM_DESC_TRANSB, &T::transpose_b),
  };
  return table;
}

std::span<const Attribute> emulation_attributes() {
  using E = EmulationDescription;
  static const std::array table{
      at(CUBLASLT_EMULATION_DESC_STRATEGY, &E::strategy),
      at(CUBLASLT_EMULATION_DESC_SPECIAL_VALUES_SUPPORT, &E::special_values),
      at(CUBLASLT_EMULATION_DESC_FIXEDPOINT_MANTISSA_CONTROL, &E::mantissa_control),
      at(CUBLASLT_EMULATION_DESC_FIXEDPOINT_MAX_MANTISSA_BIT_COUNT, &E::mantissa_bits_most),
      at(CUBLASLT_EMULATION_DESC_FIXEDPOINT_MANTISSA_BIT_OFFSET, &E::mantissa_bit_offset),
      at(CUBLASLT_EMULATION_DESC_FIXEDPOINT_MANTISSA_BIT_COUNT_POINTER, &E::mantissa_bit_count),
  };
  return table;
}

/// Puts `content` into the caller's struct, which claims to be `bytes` long.
template <typename T, typename Opaque>
cublasStatus_t initialise(Opaque* opaque, std::size_t bytes, const T& content) {
  if (opaque == nullptr || bytes < sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memset(static_cast<void*>(opaque), 0, bytes);
  new (opaque) T(content);
  return CUBLAS_STATUS_SUCCESS;
}

template <typename T, typename Opaque>
cublasStatus_t create(Opaque** created, const T& content) {
  if (created == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *created = new Opaque{};
  return initialise(*created, sizeof(Opaque), content);
}

template <typename T, typename Opaque>
cublasStatus_t destroy(Opaque* opaque) {
  if (opaque == nullptr) return CUBLAS_STATUS_SUCCESS;
  T* object = contents<T>(static_cast<void*>(opaque));
  if (object == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  object->kind = Kind::kNone;
  delete opaque;
  return CUBLAS_STATUS_SUCCESS;
}

template <typename T>
T* object_of(void* opaque) {
  return contents<T>(opaque);
}

}  // namespace

}  // namespace gpusim::blas

using namespace gpusim::blas;

extern "C" {

// ---- matrix layouts
// ------------------------------------------------------------------------------

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t layout, size_t size,
                                                 cudaDataType type, uint64_t rows, uint64_t cols,
                                                 int64_t ld) {
  Layout content;
  content.type = static_cast<std::uint32_t>(type);
  content.rows = rows;
  content.columns = cols;
  content.leading = ld;
  return initialise(layout, size, content);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          uint64_t rows, uint64_t cols, int64_t ld) {
  if (layout == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *layout = new cublasLtMatrixLayoutOpaque_t{};
  return cublasLtMatrixLayoutInit_internal(*layout, sizeof **layout, type, rows, cols, ld);
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  return destroy<Layout>(layout);
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, size_t bytes) {
  return set_attribute(layout_attributes(), object_of<Layout>(layout), attribute, value, bytes);
}

cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                void* value, size_t bytes, size_t* written) {
  return get_attribute(layout_attributes(), object_of<Layout>(layout), attribute, value, bytes,
                       written);
}

// ---- descriptions of products
// --------------------------------------------------------------------

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t description, size_t size,
                                               cublasComputeType_t compute_type,
                                               cudaDataType_t scale_type) {
  ProductDescription content;
  content.compute_type = compute_type;
  content.scale_type = scale_type;
  return initialise(description, size, content);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* description,
                                        cublasComputeType_t compute_type,
                                        cudaDataType_t scale_type) {
  if (description == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *description = new cublasLtMatmulDescOpaque_t{};
  return cublasLtMatmulDescInit_internal(*description, sizeof **description, compute_type,
                                         scale_type);
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) {
  return destroy<ProductDescription>(description);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t bytes) {
  return set_attribute(product_attributes(), object_of<ProductDescription>(description), attribute,
                       value, bytes);
}

cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute, void* value,
                                              size_t bytes, size_t* written) {
  return get_attribute(product_attributes(), object_of<ProductDescription>(description), attribute,
                       value, bytes, written);
}

// ---- preferences
// ---------------------------------------------------------------------------------

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t preference,
                                                     size_t size) {
  return initialise(preference, size, Preference{});
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  return create(preference, Preference{});
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return destroy<Preference>(preference);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t bytes) {
  return set_attribute(preference_attributes(), object_of<Preference>(preference), attribute, value,
                       bytes);
}

cublasStatus_t cublasLtMatmulPreferenceGetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    void* value, size_t bytes, size_t* written) {
  return get_attribute(preference_attributes(), object_of<Preference>(preference), attribute, value,
                       bytes, written);
}

// ---- transforms
// ----------------------------------------------------------------------------------

cublasStatus_t cublasLtMatrixTransformDescInit_internal(cublasLtMatrixTransformDesc_t description,
                                                        size_t size, cudaDataType scale_type) {
  TransformDescription content;
  content.scale_type = scale_type;
  return initialise(description, size, content);
}

cublasStatus_t cublasLtMatrixTransformDescCreate(cublasLtMatrixTransformDesc_t* description,
                                                 cudaDataType scale_type) {
  TransformDescription content;
  content.scale_type = scale_type;
  return create(description, content);
}

cublasStatus_t cublasLtMatrixTransformDescDestroy(cublasLtMatrixTransformDesc_t description) {
  return destroy<TransformDescription>(description);
}

cublasStatus_t cublasLtMatrixTransformDescSetAttribute(
    cublasLtMatrixTransformDesc_t description, cublasLtMatrixTransformDescAttributes_t attribute,
    const void* value, size_t bytes) {
  return set_attribute(transform_attributes(), object_of<TransformDescription>(description),
                       attribute, value, bytes);
}

cublasStatus_t cublasLtMatrixTransformDescGetAttribute(
    cublasLtMatrixTransformDesc_t description, cublasLtMatrixTransformDescAttributes_t attribute,
    void* value, size_t bytes, size_t* written) {
  return get_attribute(transform_attributes(), object_of<TransformDescription>(description),
                       attribute, value, bytes, written);
}

// ---- emulation
// -----------------------------------------------------------------------------------

cublasStatus_t cublasLtEmulationDescInit_internal(cublasLtEmulationDesc_t description,
                                                  size_t size) {
  return initialise(description, size, EmulationDescription{});
}

cublasStatus_t cublasLtEmulationDescCreate(cublasLtEmulationDesc_t* description) {
  return create(description, EmulationDescription{});
}

cublasStatus_t cublasLtEmulationDescDestroy(cublasLtEmulationDesc_t description) {
  return destroy<EmulationDescription>(description);
}

cublasStatus_t cublasLtEmulationDescSetAttribute(cublasLtEmulationDesc_t description,
                                                 cublasLtEmulationDescAttributes_t attribute,
                                                 const void* value, size_t bytes) {
  return set_attribute(emulation_attributes(), object_of<EmulationDescription>(description),
                       attribute, value, bytes);
}

cublasStatus_t cublasLtEmulationDescGetAttribute(cublasLtEmulationDesc_t description,
                                                 cublasLtEmulationDescAttributes_t attribute,
                                                 void* value, size_t bytes, size_t* written) {
  return get_attribute(emulation_attributes(), object_of<EmulationDescription>(description),
                       attribute, value, bytes, written);
}

}  // extern "C"
