// The gemm functions against naive sums in double.
#include <cublas_v2.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "cublas_device.hpp"
#include "machine/machine.hpp"

namespace gpusim::blas {
namespace {

class Gemm : public testing::Test {
 protected:
  Gemm() { EXPECT_EQ(cublasCreate(&handle_), CUBLAS_STATUS_SUCCESS); }
  ~Gemm() override { EXPECT_EQ(cublasDestroy(handle_), CUBLAS_STATUS_SUCCESS); }
  cublasHandle_t handle_ = nullptr;
};

cublasOperation_t operation(bool transposed) {
  return transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
}

TEST_F(Gemm, SgemmAndDgemmTakeEveryTranspositionAndLeadingDimension) {
  const int m = 37, n = 29, k = 45;
  for (bool transpose_a : {false, true}) {
    for (bool transpose_b : {false, true}) {
      const int lda = (transpose_a ? k : m) + 3, ldb = (transpose_b ? n : k) + 2, ldc = m + 1;
      for (Element type : {Element::kF32, Element::kF64}) {
        const DeviceArray a(type, lda * 60, 1), b(type, ldb * 60, 2);
        DeviceArray c(type, ldc * n, 3);
        const auto before = c.get();
        if (type == Element::kF32) {
          const float alpha = 1.5F, beta = -0.5F;
          ASSERT_EQ(cublasSgemm(handle_, operation(transpose_a), operation(transpose_b), m, n, k,
                                &alpha, a.floats(), lda, b.floats(), ldb, &beta, c.floats(), ldc),
                    CUBLAS_STATUS_SUCCESS);
        } else {
          const double alpha = 1.5, beta = -0.5;
          ASSERT_EQ(
              cublasDgemm(handle_, operation(transpose_a), operation(transpose_b), m, n, k, &alpha,
                          a.doubles(), lda, b.doubles(), ldb, &beta, c.doubles(), ldc),
              CUBLAS_STATUS_SUCCESS);
        }
        const auto host_a = a.get(), host_b = b.get(), after = c.get();
        const HostMatrix old{before, ldc, false}, result{after, ldc, false};
        for (int j = 0; j < n; ++j) {
          for (int i = 0; i < m; ++i) {
            const double sum =
                product_element({host_a, lda, transpose_a}, {host_b, ldb, transpose_b}, k, i, j);
            ASSERT_NEAR(result(i, j), 1.5 * sum - 0.5 * old(i, j), tolerance(type, 10));
          }
          EXPECT_EQ(result(m, j), old(m, j)) << "padding was touched";
        }
      }
    }
  }
}

TEST_F(Gemm, GemmExMultipliesNarrowTypesIntoWideOnes) {
  const int m = 24, n = 20, k = 16;
  struct Types {
    Element input;
    cudaDataType input_type;
    Element output;
    cudaDataType output_type;
    cublasComputeType_t compute;
  };
  for (const Types& t :
       {Types{Element::kBf16, CUDA_R_16BF, Element::kF32, CUDA_R_32F, CUBLAS_COMPUTE_32F},
        Types{Element::kBf16, CUDA_R_16BF, Element::kBf16, CUDA_R_16BF, CUBLAS_COMPUTE_32F},
        Types{Element::kF16, CUDA_R_16F, Element::kF16, CUDA_R_16F, CUBLAS_COMPUTE_32F},
        Types{Element::kF32, CUDA_R_32F, Element::kF32, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32},
        Types{Element::kS8, CUDA_R_8I, Element::kS32, CUDA_R_32I, CUBLAS_COMPUTE_32I}}) {
    const DeviceArray a(t.input, m * k, 1), b(t.input, k * n, 2);
    DeviceArray c(t.output, m * n);
    const float one = 1, zero = 0;
    const int whole = 1, none = 0;
    const bool integer = t.compute == CUBLAS_COMPUTE_32I;
    ASSERT_EQ(
        cublasGemmEx(handle_, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k,
                     integer ? static_cast<const void*>(&whole) : &one, a.data(), t.input_type, m,
                     b.data(), t.input_type, k, integer ? static_cast<const void*>(&none) : &zero,
                     c.data(), t.output_type, m, t.compute, CUBLAS_GEMM_DEFAULT),
        CUBLAS_STATUS_SUCCESS);
    const auto host_a = a.get(), host_b = b.get(), result = c.get();
    for (int j = 0; j < n; ++j) {
      for (int i = 0; i < m; ++i) {
        const double sum = product_element({host_a, m, false}, {host_b, k, false}, k, i, j);
        ASSERT_NEAR(result[static_cast<std::size_t>(i + j * m)], sum,
                    tolerance(t.output, std::abs(sum)));
      }
    }
  }
}

TEST_F(Gemm, MathModeTf32RoundsInputsOfSgemm) {
  DeviceArray a(Element::kF32, 1), b(Element::kF32, 1), c(Element::kF32, 1);
  a.put({1 + std::ldexp(1, -20)});
  b.put({1});
  const float one = 1, zero = 0;
  const auto run = [&] {
    EXPECT_EQ(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.floats(), 1,
                          b.floats(), 1, &zero, c.floats(), 1),
              CUBLAS_STATUS_SUCCESS);
    return c.get()[0];
  };
  EXPECT_EQ(run(), 1 + std::ldexp(1, -20));
  EXPECT_EQ(cublasSetMathMode(handle_, CUBLAS_TF32_TENSOR_OP_MATH), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(run(), 1);
}

TEST_F(Gemm, BatchesLieAtStridesOrBehindPointers) {
  const int m = 9, n = 7, k = 5, batch = 4;
  const DeviceArray a(Element::kF32, m * k * batch, 1), b(Element::kF32, k * n * batch, 2);
  DeviceArray strided(Element::kF32, m * n * batch), pointed(Element::kF32, m * n * batch);
  const float one = 1, zero = 0;
  ASSERT_EQ(cublasSgemmStridedBatched(handle_, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &one, a.floats(),
                                      m, m * k, b.floats(), k, k * n, &zero, strided.floats(), m,
                                      m * n, batch),
            CUBLAS_STATUS_SUCCESS);
  std::vector<float*> host;
  for (int i = 0; i < batch; ++i) host.push_back(a.floats() + i * m * k);
  for (int i = 0; i < batch; ++i) host.push_back(b.floats() + i * k * n);
  for (int i = 0; i < batch; ++i) host.push_back(pointed.floats() + i * m * n);
  float** device = nullptr;
  ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&device), host.size() * sizeof(float*)),
            cudaSuccess);
  ASSERT_EQ(cudaMemcpy(device, host.data(), host.size() * sizeof(float*), cudaMemcpyHostToDevice),
            cudaSuccess);
  ASSERT_EQ(cublasSgemmBatched(handle_, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &one, device, m,
                               device + batch, k, &zero, device + 2 * batch, m, batch),
            CUBLAS_STATUS_SUCCESS);
  const auto host_a = a.get(), host_b = b.get(), first = strided.get(), second = pointed.get();
  for (int s = 0; s < batch; ++s) {
    for (int j = 0; j < n; ++j) {
      for (int i = 0; i < m; ++i) {
        const double sum =
            product_element({host_a, m, false, s * m * k}, {host_b, k, false, s * k * n}, k, i, j);
        const auto at = static_cast<std::size_t>(s * m * n + i + j * m);
        ASSERT_NEAR(first[at], sum, 1e-5);
        ASSERT_EQ(first[at], second[at]);
      }
    }
  }
  EXPECT_EQ(cudaFree(device), cudaSuccess);
}

TEST_F(Gemm, FactorsMayLieOnTheDevice) {
  const DeviceArray a(Element::kF32, 16, 1), b(Element::kF32, 16, 2);
  DeviceArray c(Element::kF32, 16, 3), factors(Element::kF32, 2);
  factors.put({2, -1});
  const auto before = c.get();
  ASSERT_EQ(cublasSetPointerMode(handle_, CUBLAS_POINTER_MODE_DEVICE), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, factors.floats(), a.floats(), 4,
                        b.floats(), 4, factors.floats() + 1, c.floats(), 4),
            CUBLAS_STATUS_SUCCESS);
  const auto host_a = a.get(), host_b = b.get(), after = c.get();
  const double sum = product_element({host_a, 4, false}, {host_b, 4, false}, 4, 1, 2);
  EXPECT_NEAR(after[9], 2 * sum - before[9], 1e-5);
}

TEST_F(Gemm, DepthZeroScalesAndBetaZeroDoesNotRead) {
  DeviceArray c(Element::kF32, 4);
  const float one = 1, two = 2, zero = 0;
  c.put({1, 2, 3, 4});
  ASSERT_EQ(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 0, &one, c.floats(), 2, c.floats(),
                        1, &two, c.floats(), 2),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(c.get(), (std::vector<double>{2, 4, 6, 8}));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  c.put({nan, nan, nan, nan});
  const DeviceArray a(Element::kF32, 4, 1);
  ASSERT_EQ(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, a.floats(), 2, a.floats(),
                        2, &zero, c.floats(), 2),
            CUBLAS_STATUS_SUCCESS);
  for (double value : c.get()) EXPECT_FALSE(std::isnan(value));
}

TEST_F(Gemm, RefusesWrongArguments) {
  const DeviceArray a(Element::kF32, 100, 1);
  const float one = 1;
  const auto run = [&](int m, int lda, int ldb, int ldc, const float* alpha) {
    return cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, m, 4, 4, alpha, a.floats(), lda,
                       a.floats(), ldb, &one, a.floats(), ldc);
  };
  EXPECT_EQ(run(-1, 4, 4, 4, &one), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(run(4, 3, 4, 4, &one), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(run(4, 4, 3, 4, &one), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(run(4, 4, 4, 3, &one), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(run(4, 4, 4, 4, nullptr), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(run(0, 4, 4, 4, &one), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasGemmEx(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, &one, a.data(), CUDA_C_32F, 4,
                         a.data(), CUDA_C_32F, 4, &one, a.data(), CUDA_C_32F, 4, CUBLAS_COMPUTE_32F,
                         CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(cublasSgemm(nullptr, CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, &one, a.floats(), 4, a.floats(),
                        4, &one, a.floats(), 4),
            CUBLAS_STATUS_NOT_INITIALIZED);
}

TEST_F(Gemm, IsRecordedByCaptureAndRunsAtEveryReplay) {
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  ASSERT_EQ(cublasSetStream(handle_, stream), CUBLAS_STATUS_SUCCESS);
  DeviceArray c(Element::kF32, 1), a(Element::kF32, 1);
  c.put({1});
  a.put({2});
  const float one = 1;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  ASSERT_EQ(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.floats(), 1, a.floats(),
                        1, &one, c.floats(), 1),
            CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  EXPECT_EQ(c.get()[0], 1) << "captured work ran at once";
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  for (int replay = 1; replay <= 3; ++replay) {
    ASSERT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(c.get()[0], 1 + 4 * replay);
  }
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

}  // namespace
}  // namespace gpusim::blas
