// One matrix product of fixed shape on a GPU, through cuBLASLt with a fused epilogue. cuBLASLt
// thinks in columns: a row-major tensor [rows, columns] is to it a matrix of `columns` rows and
// `rows` columns, so every product here is the transpose of what the op speaks of.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <memory>

#include "ops/device/device.hpp"
#include "ops/linear/matrix_algorithms.hpp"
#include "ops/tensor.hpp"

namespace ingot::cuda {

/// What the library may use; the same for every algorithm, so that a memory plan does not depend on
/// the choice.
constexpr std::int64_t kProductWorkspace = std::int64_t{4} << 20;

/// D [m, n] = epilogue(op(A) op(B)) in columns: D's columns, m long, are rows of a tensor.
struct ProductShape {
  std::int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  DType operands = DType::kF32;  ///< f32 is multiplied exactly, without TF32
  DType result = DType::kF32;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
};

struct ProductPointers {
  const void* a = nullptr;
  const void* b = nullptr;
  void* d = nullptr;
  const void* bias = nullptr;  ///< or where a bias gradient goes, f32 or the result's type
  void* auxiliary = nullptr;   ///< [n, m] of the result's type: GELU's argument
  void* workspace = nullptr;   ///< kProductWorkspace bytes
};

class CublasLtProduct {
 public:
  /// Finds its algorithm in matrix_algorithms(), or chooses it and adds it there.
  CublasLtProduct(Device& device, const ProductShape& shape, bool accumulate);

  /// Whether the library can do this; run() must not be called otherwise.
  bool exists() const { return algorithm_.exists(); }
  /// With accumulate the product is added to D.
  void run(cudaStream_t stream, const ProductPointers& pointers);

 private:
  struct Destroy {
    void operator()(cublasLtMatmulDesc_t description) const;
    void operator()(cublasLtMatrixLayout_t layout) const;
  };
  using Layout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, Destroy>;

  std::string key(Device& device) const;
  MatrixAlgorithm choose();
  MatrixAlgorithm fastest(const cublasLtMatmulHeuristicResult_t* candidates, int count);
  void verify(const std::string& key) const;
  cublasStatus_t multiply(cudaStream_t stream, const ProductPointers& pointers,
                          const cublasLtMatmulAlgo_t& algorithm, float beta);

  ProductShape shape_;
  float beta_;
  cublasLtHandle_t handle_;
  std::unique_ptr<cublasLtMatmulDescOpaque_t, Destroy> description_;
  Layout a_, b_, d_;
  MatrixAlgorithm algorithm_;
};

}  // namespace ingot::cuda
