#include "cublas/gemm.hpp"

#include <algorithm>

#include "cublas/handle.hpp"
#include "cublaslt/problem.hpp"
#include "cudart/internal.hpp"

namespace gpusim::blas {

namespace {

cudaDataType scale_type_of(cublasComputeType_t compute_type) {
  switch (compute_type) {
    case CUBLAS_COMPUTE_16F:
    case CUBLAS_COMPUTE_16F_PEDANTIC:
      return CUDA_R_16F;
    case CUBLAS_COMPUTE_64F:
    case CUBLAS_COMPUTE_64F_PEDANTIC:
      return CUDA_R_64F;
    case CUBLAS_COMPUTE_32I:
    case CUBLAS_COMPUTE_32I_PEDANTIC:
      return CUDA_R_32I;
    default:
      return CUDA_R_32F;
  }
}

Verdict check(const GemmRequest& r) {
  if (!is_operation(r.transpose_a) || !is_operation(r.transpose_b)) {
    return invalid("an unknown transposition");
  }
  if (r.m < 0 || r.n < 0 || r.k < 0 || r.batch < 0) return invalid("a negative size");
  const auto too_short = [](const GemmMatrix& matrix, std::int64_t rows) {
    return matrix.leading < std::max<std::int64_t>(1, rows);
  };
  if (too_short(r.a, is_transposed(r.transpose_a) ? r.k : r.m)) return invalid("lda is too small");
  if (too_short(r.b, is_transposed(r.transpose_b) ? r.n : r.k)) return invalid("ldb is too small");
  if (too_short(r.c, r.m)) return invalid("ldc is too small");
  if (r.alpha == nullptr || r.beta == nullptr) return invalid("alpha or beta is null");
  if (r.batch > 1 && !r.pointers && r.c.stride == 0 && r.m > 0 && r.n > 0) {
    return invalid("the batches of C lie on top of each other");
  }
  return {};
}

Operand operand_of(const GemmMatrix& matrix, bool transposed, bool pointers) {
  Operand operand;
  operand.address = number(matrix.data);
  operand.type = *element_of(matrix.type);
  operand.row_stride = transposed ? matrix.leading : 1;
  operand.column_stride = transposed ? 1 : matrix.leading;
  operand.batch_stride = matrix.stride;
  operand.pointers = pointers;
  return operand;
}

Arithmetic with_math_mode(Arithmetic arithmetic, const GemmRequest& request) {
  const int mode = request.handle->math_mode & ~CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
  const bool tf32 = mode == CUBLAS_TF32_TENSOR_OP_MATH &&
                    request.compute_type == CUBLAS_COMPUTE_32F && request.a.type == CUDA_R_32F;
  return tf32 ? Arithmetic::kTf32 : arithmetic;
}

}  // namespace

cublasStatus_t gemm(const GemmRequest& r) {
  if (!is_handle(r.handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  Verdict verdict = check(r);
  ProductCall call;
  if (verdict.ok()) {
    verdict = check_types(r.compute_type, scale_type_of(r.compute_type), r.a.type, r.b.type,
                          r.c.type, r.c.type, call);
  }
  if (!verdict.ok()) return conclude(r.name, verdict);
  if (r.m == 0 || r.n == 0 || r.batch == 0) return CUBLAS_STATUS_SUCCESS;
  call.name = r.name;
  call.m = r.m;
  call.n = r.n;
  call.k = r.k;
  call.batch = r.batch;
  call.arithmetic = with_math_mode(call.arithmetic, r);
  call.alpha = scale_of(r.handle, r.alpha, call.alpha.type);
  call.beta = scale_of(r.handle, r.beta, call.beta.type);
  call.a = operand_of(r.a, is_transposed(r.transpose_a), r.pointers);
  call.b = operand_of(r.b, is_transposed(r.transpose_b), r.pointers);
  call.c = call.d = operand_of(r.c, false, r.pointers);
  const bool reads_inputs = r.k > 0 && (call.alpha.address != 0 || call.alpha.value != 0);
  if (call.d.address == 0 || (reads_inputs && (call.a.address == 0 || call.b.address == 0))) {
    return conclude(r.name, invalid("a matrix is null"));
  }
  if (cudart::stream_device(r.handle->stream) != r.handle->device) {
    return conclude(r.name, invalid("the stream is not one of the handle's device"));
  }
  return enqueue_product(r.handle->stream, call);
}

}  // namespace gpusim::blas
