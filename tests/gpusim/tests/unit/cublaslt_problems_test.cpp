// What the simulator must notice about products: memory that was never written, accesses outside of
// allocations, and streams without order.
#include <cublasLt.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "cublas_device.hpp"
#include "machine/machine.hpp"

namespace gpusim::blas {
namespace {

// Problems that the tests below make on purpose must not end the process with an error.
const int kContinue = setenv("GPUSIM_ON_PROBLEM", "continue", 1);

constexpr int kSize = 32;

/// D = A B of square f32 matrices in `stream`.
cublasStatus_t multiply(const void* a, const void* b, void* d, cudaStream_t stream = nullptr) {
  cublasLtHandle_t handle = nullptr;
  EXPECT_EQ(cublasLtCreate(&handle), CUBLAS_STATUS_SUCCESS);
  cublasLtMatmulDesc_t description = nullptr;
  cublasLtMatrixLayout_t square = nullptr;
  EXPECT_EQ(cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasLtMatrixLayoutCreate(&square, CUDA_R_32F, kSize, kSize, kSize),
            CUBLAS_STATUS_SUCCESS);
  const float one = 1, zero = 0;
  const cublasStatus_t status =
      cublasLtMatmul(handle, description, &one, a, square, b, square, &zero, d, square, d, square,
                     nullptr, nullptr, 0, stream);
  EXPECT_EQ(cublasLtMatrixLayoutDestroy(square), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasLtMatmulDescDestroy(description), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasLtDestroy(handle), CUBLAS_STATUS_SUCCESS);
  return status;
}

/// What `action` makes the simulator print, and how many problems it counts.
template <typename Action>
std::string reported(Action action, std::uint64_t expected) {
  const std::uint64_t before = problems_reported();
  testing::internal::CaptureStderr();
  action();
  std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(problems_reported(), before + expected) << text;
  return text;
}

TEST(Problems, ReadingWhatWasNeverWrittenIsReported) {
  const DeviceArray x(Element::kF32, kSize * kSize, 1), fresh(Element::kF32, kSize * kSize);
  const DeviceArray d(Element::kF32, kSize * kSize);
  const std::string text = reported(
      [&] {
        ASSERT_EQ(multiply(x.data(), fresh.data(), d.data()), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
      },
      1);
  EXPECT_NE(text.find("uninitialised read: cublasLtMatmul (m 32 n 32 k 32) reads B"),
            std::string::npos)
      << text;
}

TEST(Problems, ResultsOfAProductCountAsWritten) {
  const DeviceArray x(Element::kF32, kSize * kSize, 1);
  const DeviceArray d(Element::kF32, kSize * kSize), e(Element::kF32, kSize * kSize);
  reported(
      [&] {
        ASSERT_EQ(multiply(x.data(), x.data(), d.data()), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(multiply(d.data(), x.data(), e.data()), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
      },
      0);
}

TEST(Problems, ProductsOfTwoStreamsNeedAnEventBetweenThem) {
  const DeviceArray x(Element::kF32, kSize * kSize, 1);
  const DeviceArray d(Element::kF32, kSize * kSize), e(Element::kF32, kSize * kSize);
  cudaStream_t first = nullptr, second = nullptr;
  cudaEvent_t event = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  reported(
      [&] {
        ASSERT_EQ(multiply(x.data(), x.data(), d.data(), first), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(cudaEventRecord(event, first), cudaSuccess);
        ASSERT_EQ(cudaStreamWaitEvent(second, event, 0), cudaSuccess);
        ASSERT_EQ(multiply(d.data(), x.data(), e.data(), second), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
      },
      0);
  const std::string text = reported(
      [&] {
        ASSERT_EQ(multiply(x.data(), x.data(), d.data(), first), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(multiply(d.data(), x.data(), e.data(), second), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
      },
      1);
  EXPECT_NE(text.find("cublasLtMatmul"), std::string::npos) << text;
  EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(first), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(second), cudaSuccess);
}

TEST(Problems, AResultInTheMemoryOfAnOperandIsReported) {
  const DeviceArray x(Element::kF32, 2 * kSize * kSize, 1);
  const std::string text = reported(
      [&] {
        ASSERT_EQ(multiply(x.data(), x.floats() + kSize * kSize, x.floats() + kSize),
                  CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
      },
      2);
  EXPECT_NE(text.find("overlap: cublasLtMatmul (m 32 n 32 k 32): D lies in the memory of A"),
            std::string::npos)
      << text;
}

/// In a process of its own, since the error stays.
[[noreturn]] void multiply_beyond_the_end() {
  const DeviceArray x(Element::kF32, kSize * kSize, 1), half(Element::kF32, kSize * kSize / 2);
  EXPECT_EQ(multiply(x.data(), x.data(), half.data()), CUBLAS_STATUS_SUCCESS);
  const bool sticky = cudaDeviceSynchronize() == cudaErrorIllegalAddress &&
                      cudaDeviceSynchronize() == cudaErrorIllegalAddress;
  std::_Exit(sticky ? 42 : 1);
}

TEST(ProblemsDeathTest, AccessOutsideOfMemoryIsAFaultThatStays) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(multiply_beyond_the_end(), testing::ExitedWithCode(42),
              "out of bounds: cublasLtMatmul .m 32 n 32 k 32.: D .written. takes 4096 bytes");
}

}  // namespace
}  // namespace gpusim::blas
