// Matrix product with tiles in shared memory, and a register-tiled one in double precision.
#include <array>

#include "check.cuh"

__global__ void product(const float* a, const float* b, float* c, int m, int n, int k) {
  __shared__ float tile_a[16][16];
  __shared__ float tile_b[16][16];
  const int row = blockIdx.y * 16 + threadIdx.y;
  const int column = blockIdx.x * 16 + threadIdx.x;
  float sum = 0;
  for (int t = 0; t < k; t += 16) {
    const int of_a = t + threadIdx.x;
    const int of_b = t + threadIdx.y;
    tile_a[threadIdx.y][threadIdx.x] = row < m && of_a < k ? a[row * k + of_a] : 0;
    tile_b[threadIdx.y][threadIdx.x] = of_b < k && column < n ? b[of_b * n + column] : 0;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 16; ++i) sum = fmaf(tile_a[threadIdx.y][i], tile_b[i][threadIdx.x], sum);
    __syncthreads();
  }
  if (row < m && column < n) c[row * n + column] = sum;
}

/// Each thread computes 4 x 4 elements; sizes are multiples of 64 (m, n) and 8 (k).
__global__ void product_in_registers(const double* a, const double* b, double* c, int n, int k) {
  __shared__ double tile_a[8][64];
  __shared__ double tile_b[8][64];
  double sum[4][4] = {};
  const int thread = threadIdx.y * 16 + threadIdx.x;
  for (int t = 0; t < k; t += 8) {
    for (int i = thread; i < 8 * 64; i += 256) {
      tile_a[i % 8][i / 8] = a[(blockIdx.y * 64 + i / 8) * k + t + i % 8];
      tile_b[i / 64][i % 64] = b[(t + i / 64) * n + blockIdx.x * 64 + i % 64];
    }
    __syncthreads();
    for (int i = 0; i < 8; ++i) {
      for (int r = 0; r < 4; ++r) {
        for (int s = 0; s < 4; ++s) {
          sum[r][s] += tile_a[i][threadIdx.y * 4 + r] * tile_b[i][threadIdx.x * 4 + s];
        }
      }
    }
    __syncthreads();
  }
  for (int r = 0; r < 4; ++r) {
    for (int s = 0; s < 4; ++s) {
      c[(blockIdx.y * 64 + threadIdx.y * 4 + r) * n + blockIdx.x * 64 + threadIdx.x * 4 + s] =
          sum[r][s];
    }
  }
}

template <typename T>
void expect_product(const std::vector<T>& c, const std::vector<T>& a, const std::vector<T>& b,
                    int m, int n, int k) {
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) {
      T sum = 0;
      for (int l = 0; l < k; ++l) sum += a[i * k + l] * b[l * n + j];
      require(c[i * n + j] == sum, "an element of the product; small integers sum exactly");
    }
  }
}

int main() {
  for (const auto& [m, n, k] : {std::array{16, 16, 16}, std::array{33, 50, 21}}) {
    const auto a = samples<float>(m * k);
    const auto b = samples<float>(k * n);
    Buffer<float> device_a(a);
    Buffer<float> device_b(b);
    Buffer<float> device_c(m * n);
    product<<<dim3((n + 15) / 16, (m + 15) / 16), dim3(16, 16)>>>(device_a.data(), device_b.data(),
                                                                  device_c.data(), m, n, k);
    finish();
    expect_product(device_c.download(), a, b, m, n, k);
  }
  const auto a = samples<double>(64 * 24);
  const auto b = samples<double>(24 * 128);
  Buffer<double> device_a(a);
  Buffer<double> device_b(b);
  Buffer<double> device_c(64 * 128);
  product_in_registers<<<dim3(2, 1), dim3(16, 16)>>>(device_a.data(), device_b.data(),
                                                     device_c.data(), 128, 24);
  finish();
  expect_product(device_c.download(), a, b, 64, 128, 24);
  return done();
}
