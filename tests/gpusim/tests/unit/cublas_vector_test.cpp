// Vector functions, matrix times vector, and copies.
#include <cublas_v2.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "cublas_device.hpp"

namespace gpusim::blas {
namespace {

class Vectors : public testing::Test {
 protected:
  Vectors() { EXPECT_EQ(cublasCreate(&handle_), CUBLAS_STATUS_SUCCESS); }
  ~Vectors() override { EXPECT_EQ(cublasDestroy(handle_), CUBLAS_STATUS_SUCCESS); }
  cublasHandle_t handle_ = nullptr;
};

TEST_F(Vectors, GemvTakesStepsAndNegativeOnes) {
  const int m = 11, n = 6, lda = 13;
  const DeviceArray a(Element::kF64, lda * n, 1), x(Element::kF64, 40, 2);
  const auto host_a = a.get(), host_x = x.get();
  for (bool transposed : {false, true}) {
    for (int incx : {1, 2, -3}) {
      for (int incy : {1, -2}) {
        DeviceArray y(Element::kF64, 40, 3);
        const auto before = y.get();
        const double alpha = 2, beta = 3;
        ASSERT_EQ(cublasDgemv(handle_, transposed ? CUBLAS_OP_T : CUBLAS_OP_N, m, n, &alpha,
                              a.doubles(), lda, x.doubles(), incx, &beta, y.doubles(), incy),
                  CUBLAS_STATUS_SUCCESS);
        const auto after = y.get();
        const int rows = transposed ? n : m, depth = transposed ? m : n;
        const auto place = [](int i, int count, int step) {
          return static_cast<std::size_t>(step > 0 ? i * step : (i - count + 1) * step);
        };
        for (int i = 0; i < rows; ++i) {
          double sum = 0;
          const HostMatrix matrix{host_a, lda, transposed};
          for (int p = 0; p < depth; ++p) sum += matrix(i, p) * host_x[place(p, depth, incx)];
          const std::size_t at = place(i, rows, incy);
          ASSERT_NEAR(after[at], 2 * sum + 3 * before[at], 1e-12);
        }
        EXPECT_EQ(after[39], before[39]);
      }
    }
  }
}

TEST_F(Vectors, RankOneUpdateAddsToTheMatrix) {
  const DeviceArray x(Element::kF32, 6, 1), y(Element::kF32, 8, 2);
  DeviceArray a(Element::kF32, 12, 3);
  const auto before = a.get();
  const float alpha = 2;
  ASSERT_EQ(cublasSger(handle_, 3, 4, &alpha, x.floats(), 2, y.floats(), 1, a.floats(), 3),
            CUBLAS_STATUS_SUCCESS);
  const auto host_x = x.get(), host_y = y.get(), after = a.get();
  for (std::size_t j = 0; j < 4; ++j) {
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(after[i + 3 * j], before[i + 3 * j] + 2 * host_x[2 * i] * host_y[j], 1e-6);
    }
  }
}

TEST_F(Vectors, LevelOneFunctionsDoWhatTheirNamesSay) {
  DeviceArray x(Element::kF32, 4), y(Element::kF32, 4);
  x.put({1, -5, 3, 0.5});
  y.put({2, 1, 0, 4});
  const float two = 2;
  ASSERT_EQ(cublasSaxpy(handle_, 4, &two, x.floats(), 1, y.floats(), 1), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(y.get(), (std::vector<double>{4, -9, 6, 5}));
  ASSERT_EQ(cublasSscal(handle_, 2, &two, y.floats(), 2), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(y.get(), (std::vector<double>{8, -9, 12, 5}));
  float value = 0;
  ASSERT_EQ(cublasSdot(handle_, 4, x.floats(), 1, y.floats(), 1, &value), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(value, 8 + 45 + 36 + 2.5F);
  ASSERT_EQ(cublasSasum(handle_, 4, x.floats(), 1, &value), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(value, 9.5F);
  ASSERT_EQ(cublasSnrm2(handle_, 2, x.floats() + 2, 1, &value), CUBLAS_STATUS_SUCCESS);
  EXPECT_NEAR(value, std::sqrt(9.25), 1e-6);
  int index = 0;
  ASSERT_EQ(cublasIsamax(handle_, 4, x.floats(), 1, &index), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(index, 2);
  ASSERT_EQ(cublasIsamin(handle_, 4, x.floats(), 1, &index), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(index, 4);
  ASSERT_EQ(cublasSswap(handle_, 4, x.floats(), 1, y.floats(), -1), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(x.get(), (std::vector<double>{5, 12, -9, 8}));
  EXPECT_EQ(y.get(), (std::vector<double>{0.5, 3, -5, 1}));
  ASSERT_EQ(cublasScopy(handle_, 4, x.floats(), 1, y.floats(), 1), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(x.get(), y.get());
}

TEST_F(Vectors, ResultsMayLieOnTheDevice) {
  DeviceArray x(Element::kF64, 3), result(Element::kF64, 1);
  x.put({1, 2, 3});
  ASSERT_EQ(cublasSetPointerMode(handle_, CUBLAS_POINTER_MODE_DEVICE), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(cublasDdot(handle_, 3, x.doubles(), 1, x.doubles(), 1, result.doubles()),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(result.get()[0], 14);
}

TEST_F(Vectors, GeamTransposes) {
  DeviceArray a(Element::kF32, 6), c(Element::kF32, 6);
  a.put({1, 2, 3, 4, 5, 6});  // 2 x 3
  const float one = 1, zero = 0;
  ASSERT_EQ(cublasSgeam(handle_, CUBLAS_OP_T, CUBLAS_OP_N, 3, 2, &one, a.floats(), 2, &zero,
                        nullptr, 3, c.floats(), 3),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(c.get(), (std::vector<double>{1, 3, 5, 2, 4, 6}));
}

TEST_F(Vectors, MatricesAreCopiedWithLeadingDimensions) {
  const std::vector<float> host{1, 2, 0, 3, 4, 0};
  std::vector<float> back(4);
  DeviceArray device(Element::kF32, 4);
  ASSERT_EQ(cublasSetMatrix(2, 2, 4, host.data(), 3, device.data(), 2), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(device.get(), (std::vector<double>{1, 2, 3, 4}));
  ASSERT_EQ(cublasGetVector(2, 4, device.data(), 2, back.data(), 1), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(back[1], 3);
}

}  // namespace
}  // namespace gpusim::blas
