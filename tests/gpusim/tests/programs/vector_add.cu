// Vector addition, with sizes that do not fill the last block, and a grid-stride loop.
#include "check.cuh"

__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

template <typename T>
__global__ void scale(T* x, T factor, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    x[i] *= factor;
  }
}

template <typename T>
void test_scale(int n, T factor) {
  Buffer<T> x(samples<T>(n));
  scale<T><<<3, 96>>>(x.data(), factor, n);
  finish();
  const auto result = x.download();
  for (int i = 0; i < n; ++i) {
    require(result[i] == static_cast<T>(static_cast<T>(sample(i)) * factor), "scaled");
  }
}

int main() {
  for (const int n : {1, 31, 32, 255, 256, 1000, 12345}) {
    const auto a = samples<float>(n);
    std::vector<float> b(n, 0.5F);
    Buffer<float> device_a(a);
    Buffer<float> device_b(b);
    Buffer<float> device_c(n);
    add<<<(n + 255) / 256, 256>>>(device_a.data(), device_b.data(), device_c.data(), n);
    finish();
    const auto c = device_c.download();
    for (int i = 0; i < n; ++i) require(c[i] == a[i] + 0.5F, "the sum of two elements");
  }
  test_scale<double>(1000, 1.25);
  test_scale<int>(1000, -3);
  test_scale<short>(1001, 5);
  test_scale<unsigned char>(1003, 3);
  test_scale<long long>(999, 1LL << 40);
  return done();
}
