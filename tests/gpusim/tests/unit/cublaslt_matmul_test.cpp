// cublasLtMatmul against naive references: layouts, batches, epilogues, algorithms and what it must
// refuse.
#include <cublasLt.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <vector>

#include "cublas_device.hpp"

namespace gpusim::blas {
namespace {

cudaDataType cuda_type(Element type) {
  switch (type) {
    case Element::kBf16:
      return CUDA_R_16BF;
    case Element::kF16:
      return CUDA_R_16F;
    case Element::kF64:
      return CUDA_R_64F;
    default:
      return CUDA_R_32F;
  }
}

struct Layout {
  Layout(Element type, int rows, int columns, int leading) {
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&handle, cuda_type(type), static_cast<std::uint64_t>(rows),
                                         static_cast<std::uint64_t>(columns), leading),
              CUBLAS_STATUS_SUCCESS);
  }
  ~Layout() { EXPECT_EQ(cublasLtMatrixLayoutDestroy(handle), CUBLAS_STATUS_SUCCESS); }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;
  template <typename T>
  void set(cublasLtMatrixLayoutAttribute_t attribute, T value) {
    EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(handle, attribute, &value, sizeof value),
              CUBLAS_STATUS_SUCCESS);
  }
  void batches(int count, std::int64_t stride) {
    set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, count);
    set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
  }
  cublasLtMatrixLayout_t handle = nullptr;
};

class Matmul : public testing::Test {
 protected:
  Matmul() {
    EXPECT_EQ(cublasLtCreate(&handle_), CUBLAS_STATUS_SUCCESS);
    describe(CUBLAS_COMPUTE_32F, CUDA_R_32F);
    EXPECT_EQ(cublasLtMatmulPreferenceCreate(&preference_), CUBLAS_STATUS_SUCCESS);
  }
  ~Matmul() override {
    EXPECT_EQ(cublasLtMatmulPreferenceDestroy(preference_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulDescDestroy(description_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtDestroy(handle_), CUBLAS_STATUS_SUCCESS);
  }
  void describe(cublasComputeType_t compute, cudaDataType scale) {
    EXPECT_EQ(cublasLtMatmulDescDestroy(description_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulDescCreate(&description_, compute, scale), CUBLAS_STATUS_SUCCESS);
  }
  template <typename T>
  void set(cublasLtMatmulDescAttributes_t attribute, T value) {
    EXPECT_EQ(cublasLtMatmulDescSetAttribute(description_, attribute, &value, sizeof value),
              CUBLAS_STATUS_SUCCESS);
  }
  void allow_workspace(std::size_t bytes) {
    EXPECT_EQ(cublasLtMatmulPreferenceSetAttribute(
                  preference_, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes),
              CUBLAS_STATUS_SUCCESS);
  }
  cublasStatus_t run(const void* a, const Layout& la, const void* b, const Layout& lb,
                     const void* c, const Layout& lc, void* d, const Layout& ld, float alpha = 1,
                     float beta = 0) {
    return cublasLtMatmul(handle_, description_, &alpha, a, la.handle, b, lb.handle, &beta, c,
                          lc.handle, d, ld.handle, nullptr, nullptr, 0, nullptr);
  }

  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulDesc_t description_ = nullptr;
  cublasLtMatmulPreference_t preference_ = nullptr;
};

TEST_F(Matmul, TakesTranspositionsOrdersBatchesAndBeta) {
  const int m = 19, n = 23, k = 31, batch = 3;
  for (Element type : {Element::kF32, Element::kBf16, Element::kF16}) {
    for (unsigned flags = 0; flags < 16; ++flags) {
      const bool transpose_a = (flags & 1U) != 0, transpose_b = (flags & 2U) != 0;
      const bool rows_a = (flags & 4U) != 0, rows_d = (flags & 8U) != 0;
      set(CUBLASLT_MATMUL_DESC_TRANSA, static_cast<int>(transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N));
      set(CUBLASLT_MATMUL_DESC_TRANSB, static_cast<int>(transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N));
      const int stored_rows_a = transpose_a ? k : m, stored_columns_a = transpose_a ? m : k;
      const int lda = (rows_a ? stored_columns_a : stored_rows_a) + 2;
      const int ldb = (transpose_b ? n : k) + 1;
      const int ldd = (rows_d ? n : m) + 3;
      const std::int64_t stride_a = lda * 40, stride_b = ldb * 40, stride_d = ldd * 40;
      const DeviceArray a(type, stride_a * batch, 1), b(type, stride_b * batch, 2);
      DeviceArray d(type, stride_d * batch, 3);
      Layout la(type, stored_rows_a, stored_columns_a, lda);
      Layout lb(type, transpose_b ? n : k, transpose_b ? k : n, ldb);
      Layout ld(type, m, n, ldd);
      la.batches(batch, stride_a);
      lb.batches(batch, stride_b);
      ld.batches(batch, stride_d);
      if (rows_a) la.set(CUBLASLT_MATRIX_LAYOUT_ORDER, static_cast<int>(CUBLASLT_ORDER_ROW));
      if (rows_d) ld.set(CUBLASLT_MATRIX_LAYOUT_ORDER, static_cast<int>(CUBLASLT_ORDER_ROW));
      const auto before = d.get();
      ASSERT_EQ(run(a.data(), la, b.data(), lb, d.data(), ld, d.data(), ld, 2, -1),
                CUBLAS_STATUS_SUCCESS);
      const auto host_a = a.get(), host_b = b.get(), after = d.get();
      for (int s = 0; s < batch; ++s) {
        const HostMatrix matrix_a{host_a, lda, rows_a != transpose_a, s * stride_a};
        const HostMatrix matrix_b{host_b, ldb, transpose_b, s * stride_b};
        const HostMatrix old{before, ldd, rows_d, s * stride_d};
        const HostMatrix result{after, ldd, rows_d, s * stride_d};
        for (int j = 0; j < n; ++j) {
          for (int i = 0; i < m; ++i) {
            const double expected = 2 * product_element(matrix_a, matrix_b, k, i, j) - old(i, j);
            ASSERT_NEAR(result(i, j), expected, tolerance(type, std::abs(expected)))
                << "flags " << flags;
          }
        }
      }
      EXPECT_EQ(after.back(), before.back());
    }
  }
}

double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
double gelu_slope(double x) {
  const double h = 1e-6;
  return (gelu(x + h) - gelu(x - h)) / (2 * h);
}

TEST_F(Matmul, AppliesEveryEpilogue) {
  const int m = 40, n = 33, k = 24, aux_leading = 128;
  for (Element type : {Element::kF32, Element::kBf16}) {
    const DeviceArray a(type, m * k, 1), b(type, k * n, 2), bias(type, m, 3);
    const auto host_a = a.get(), host_b = b.get(), host_bias = bias.get();
    const Layout la(type, m, k, m), lb(type, k, n, k), ld(type, m, n, m);
    for (int epilogue :
         {CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_RELU, CUBLASLT_EPILOGUE_RELU_BIAS,
          CUBLASLT_EPILOGUE_RELU_AUX, CUBLASLT_EPILOGUE_RELU_AUX_BIAS, CUBLASLT_EPILOGUE_GELU,
          CUBLASLT_EPILOGUE_GELU_BIAS, CUBLASLT_EPILOGUE_GELU_AUX, CUBLASLT_EPILOGUE_GELU_AUX_BIAS,
          CUBLASLT_EPILOGUE_DRELU, CUBLASLT_EPILOGUE_DRELU_BGRAD, CUBLASLT_EPILOGUE_DGELU,
          CUBLASLT_EPILOGUE_DGELU_BGRAD, CUBLASLT_EPILOGUE_BGRADA, CUBLASLT_EPILOGUE_BGRADB}) {
      const bool relu = (epilogue & CUBLASLT_EPILOGUE_RELU) != 0;
      const bool relu_gradient = (epilogue & 8) != 0;
      const bool gelu_forward = (epilogue & CUBLASLT_EPILOGUE_GELU) != 0;
      const bool gelu_gradient = (epilogue & 64) != 0;
      const bool aux_used = (epilogue & 128) != 0;
      const bool adds_bias = (epilogue & CUBLASLT_EPILOGUE_BIAS) != 0;
      const bool input_gradient =
          epilogue == CUBLASLT_EPILOGUE_BGRADA || epilogue == CUBLASLT_EPILOGUE_BGRADB;
      const bool bias_gradient = (epilogue & 16) != 0 || input_gradient;
      DeviceArray d(type, m * n), aux(type, aux_leading * n, 4), gradient(type, m);
      const auto aux_before = aux.get();
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias_gradient ? gradient.data() : bias.data());
      set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aux.data());
      set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{aux_leading});
      std::vector<std::uint8_t> bits(static_cast<std::size_t>(aux_leading / 8 * n));
      const auto read_bits = [&] {
        EXPECT_EQ(cudaMemcpy(bits.data(), aux.data(), bits.size(), cudaMemcpyDeviceToHost),
                  cudaSuccess);
      };
      if (relu_gradient) read_bits();
      ASSERT_EQ(run(a.data(), la, b.data(), lb, d.data(), ld, d.data(), ld), CUBLAS_STATUS_SUCCESS)
          << epilogue;
      const auto result = d.get(), aux_after = aux.get();
      if (relu && aux_used) read_bits();
      std::vector<double> sums(static_cast<std::size_t>(m));
      for (int j = 0; j < n; ++j) {
        for (int i = 0; i < m; ++i) {
          double x = product_element({host_a, m, false}, {host_b, k, false}, k, i, j);
          if (adds_bias) x += host_bias[static_cast<std::size_t>(i)];
          const auto at = static_cast<std::size_t>(i + j * aux_leading);
          const bool bit = (bits[at / 8] >> at % 8 & 1) != 0;
          double expected = x;
          if (relu) expected = std::max(x, 0.0);
          if (relu && aux_used) {
            ASSERT_EQ(bit, x > 0);
          }
          if (gelu_forward) expected = gelu(x);
          if (gelu_forward && aux_used) {
            ASSERT_NEAR(aux_after[at], x, tolerance(type, std::abs(x)));
          }
          if (relu_gradient) expected = bit ? x : 0;
          if (gelu_gradient) expected = x * gelu_slope(aux_before[at]);
          ASSERT_NEAR(result[static_cast<std::size_t>(i + j * m)], expected,
                      tolerance(type, std::abs(expected) + 1))
              << "epilogue " << epilogue;
          sums[static_cast<std::size_t>(i)] += expected;
        }
      }
      if (!bias_gradient) continue;
      const auto given = gradient.get();
      for (int i = 0; i < (epilogue == CUBLASLT_EPILOGUE_BGRADB ? n : m); ++i) {
        double expected = sums[static_cast<std::size_t>(i)];
        if (input_gradient) expected = 0;
        for (int p = 0; input_gradient && p < k; ++p) {
          expected += epilogue == CUBLASLT_EPILOGUE_BGRADA
                          ? host_a[static_cast<std::size_t>(i + p * m)]
                          : host_b[static_cast<std::size_t>(p + i * k)];
        }
        ASSERT_NEAR(given[static_cast<std::size_t>(i)], expected,
                    tolerance(type, std::abs(expected) + 10));
      }
    }
  }
}

TEST_F(Matmul, OffersSeveralAlgorithmsThatAllGiveTheResult) {
  const int size = 64, k = 256;
  const DeviceArray a(Element::kF32, size * k, 1), b(Element::kF32, k * size, 2);
  const Layout la(Element::kF32, size, k, size), lb(Element::kF32, k, size, k);
  const Layout ld(Element::kF32, size, size, size);
  allow_workspace(1 << 20);
  cublasLtMatmulHeuristicResult_t results[8];
  int count = 0;
  ASSERT_EQ(cublasLtMatmulAlgoGetHeuristic(handle_, description_, la.handle, lb.handle, ld.handle,
                                           ld.handle, preference_, 8, results, &count),
            CUBLAS_STATUS_SUCCESS);
  std::set<int> ids;
  std::set<std::size_t> workspaces;
  const auto host_a = a.get(), host_b = b.get();
  const float one = 1, zero = 0;
  void* workspace = nullptr;
  ASSERT_EQ(cudaMalloc(&workspace, 1 << 20), cudaSuccess);
  for (int r = 0; r < count; ++r) {
    int id = -1;
    EXPECT_EQ(cublasLtMatmulAlgoConfigGetAttribute(&results[r].algo, CUBLASLT_ALGO_CONFIG_ID, &id,
                                                   sizeof id, nullptr),
              CUBLAS_STATUS_SUCCESS);
    ids.insert(id);
    workspaces.insert(results[r].workspaceSize);
    const DeviceArray d(Element::kF32, size * size);
    const auto multiply = [&](std::size_t bytes) {
      return cublasLtMatmul(handle_, description_, &one, a.data(), la.handle, b.data(), lb.handle,
                            &zero, d.data(), ld.handle, d.data(), ld.handle, &results[r].algo,
                            workspace, bytes, nullptr);
    };
    if (results[r].workspaceSize > 0) {
      EXPECT_EQ(multiply(results[r].workspaceSize - 1), CUBLAS_STATUS_INVALID_VALUE);
    }
    ASSERT_EQ(multiply(results[r].workspaceSize), CUBLAS_STATUS_SUCCESS);
    const auto result = d.get();
    for (int j = 0; j < size; ++j) {
      for (int i = 0; i < size; ++i) {
        ASSERT_NEAR(result[static_cast<std::size_t>(i + j * size)],
                    product_element({host_a, size, false}, {host_b, k, false}, k, i, j), 1e-3);
      }
    }
  }
  EXPECT_GE(count, 3);
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(count));
  EXPECT_GE(workspaces.size(), 3U);
  EXPECT_EQ(cudaFree(workspace), cudaSuccess);
}

TEST_F(Matmul, HeuristicKeepsToWorkspaceAndAlignment) {
  const auto ids_for = [&](int leading) {
    const Layout la(Element::kBf16, 60, 60, leading), lb(Element::kBf16, 60, 60, leading);
    const Layout ld(Element::kBf16, 60, 60, leading);
    cublasLtMatmulHeuristicResult_t results[8];
    int count = 0;
    EXPECT_EQ(cublasLtMatmulAlgoGetHeuristic(handle_, description_, la.handle, lb.handle, ld.handle,
                                             ld.handle, preference_, 8, results, &count),
              CUBLAS_STATUS_SUCCESS);
    for (int r = 0; r < count; ++r) EXPECT_EQ(results[r].workspaceSize, 0U);
    return count;
  };
  EXPECT_GT(ids_for(64), ids_for(61)) << "odd leading dimensions rule algorithms out";
}

TEST_F(Matmul, AlgorithmsCanBeBuiltFromTheirIds) {
  int ids[8];
  int count = 0;
  ASSERT_EQ(cublasLtMatmulAlgoGetIds(handle_, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F,
                                     CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, 8, ids, &count),
            CUBLAS_STATUS_SUCCESS);
  const Layout square(Element::kF32, 64, 64, 64);
  bool any_splits = false;
  for (int i = 0; i < count; ++i) {
    cublasLtMatmulAlgo_t algorithm;
    ASSERT_EQ(cublasLtMatmulAlgoInit(handle_, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F,
                                     CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, ids[i], &algorithm),
              CUBLAS_STATUS_SUCCESS);
    cublasLtMatmulHeuristicResult_t result{};
    const auto check = [&] {
      return cublasLtMatmulAlgoCheck(handle_, description_, square.handle, square.handle,
                                     square.handle, square.handle, &algorithm, &result);
    };
    EXPECT_EQ(check(), CUBLAS_STATUS_SUCCESS);
    int splits = 0;
    std::uint32_t schemes = 0;
    ASSERT_EQ(cublasLtMatmulAlgoCapGetAttribute(&algorithm, CUBLASLT_ALGO_CAP_SPLITK_SUPPORT,
                                                &splits, sizeof splits, nullptr),
              CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cublasLtMatmulAlgoCapGetAttribute(&algorithm, CUBLASLT_ALGO_CAP_REDUCTION_SCHEME_MASK,
                                                &schemes, sizeof schemes, nullptr),
              CUBLAS_STATUS_SUCCESS);
    const int wanted = 2;
    const std::uint32_t scheme = schemes & (~schemes + 1);
    ASSERT_EQ(cublasLtMatmulAlgoConfigSetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM,
                                                   &wanted, sizeof wanted),
              CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cublasLtMatmulAlgoConfigSetAttribute(
                  &algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme, sizeof scheme),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(check(), splits != 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED);
    if (splits != 0) {
      EXPECT_GT(result.workspaceSize, 0U);
    }
    any_splits = any_splits || splits != 0;
  }
  EXPECT_TRUE(any_splits);
}

TEST_F(Matmul, RefusesWrongArguments) {
  const DeviceArray x(Element::kF32, 4096, 1), y(Element::kF32, 4096, 2);
  const Layout square(Element::kF32, 32, 32, 32), wide(Element::kF32, 32, 16, 32);
  const Layout narrow(Element::kF32, 32, 32, 31);
  const auto multiply = [&](const Layout& la, const Layout& lb, const Layout& ld) {
    return run(x.data(), la, x.data(), lb, y.data(), ld, y.data(), ld);
  };
  EXPECT_EQ(multiply(square, square, square), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(multiply(wide, square, square), CUBLAS_STATUS_INVALID_VALUE) << "depths differ";
  EXPECT_EQ(multiply(square, wide, square), CUBLAS_STATUS_INVALID_VALUE) << "D has another shape";
  EXPECT_EQ(multiply(narrow, square, square), CUBLAS_STATUS_INVALID_VALUE) << "lda too small";
  EXPECT_EQ(run(x.data(), square, x.data(), square, nullptr, square, x.data(), square, 1, 1),
            CUBLAS_STATUS_INVALID_VALUE)
      << "C is null";
  EXPECT_EQ(run(nullptr, square, x.data(), square, nullptr, square, x.data(), square),
            CUBLAS_STATUS_INVALID_VALUE)
      << "A is null";
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, static_cast<int>(CUBLASLT_EPILOGUE_BIAS));
  EXPECT_EQ(multiply(square, square, square), CUBLAS_STATUS_INVALID_VALUE) << "no bias pointer";
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, static_cast<int>(CUBLASLT_EPILOGUE_GELU_AUX));
  set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, x.data());
  set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{36});
  EXPECT_EQ(multiply(square, square, square), CUBLAS_STATUS_INVALID_VALUE) << "aux stride % 8";
  describe(CUBLAS_COMPUTE_64F, CUDA_R_64F);
  EXPECT_EQ(multiply(square, square, square), CUBLAS_STATUS_NOT_SUPPORTED) << "f32 computed in f64";
}

TEST_F(Matmul, AttributesAreCheckedForSize) {
  const std::int64_t wide = 0;
  EXPECT_EQ(cublasLtMatmulDescSetAttribute(description_, CUBLASLT_MATMUL_DESC_TRANSA, &wide, 8),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasLtMatmulDescSetAttribute(
                description_, static_cast<cublasLtMatmulDescAttributes_t>(99), &wide, 4),
            CUBLAS_STATUS_INVALID_VALUE);
  std::size_t written = 0;
  EXPECT_EQ(cublasLtMatmulDescGetAttribute(description_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, nullptr,
                                           0, &written),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(written, 8U);
  cublasLtMatmulDescOpaque_t own;
  ASSERT_EQ(cublasLtMatmulDescInit(&own, CUBLAS_COMPUTE_32F, CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
  int compute = 0;
  EXPECT_EQ(
      cublasLtMatmulDescGetAttribute(&own, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, &compute, 4, nullptr),
      CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(compute, CUBLAS_COMPUTE_32F);
}

}  // namespace
}  // namespace gpusim::blas
