// CUDA kernels of gelu, relu, swiglu and their backward ops: one pass over memory each. gelu(x) =
// x/2 (1 + tanh u) is computed as x sigmoid(2u), the same function, which is exact to rounding for
// small and for negative x.
#include "ops/cuda_activation.hpp"
#include "ops/cuda_divisor.cuh"
#include "ops/cuda_map.cuh"

namespace ingot::cuda {
namespace {

// 2u = x (kLinear + kCubic x^2), with kLinear = 2 sqrt(2 / pi) and kCubic = 0.044715 kLinear.
constexpr float kLinear = 1.5957691216057308F;
constexpr float kCubic = 0.0713548162726009F;

/// 1 / (1 + e^-x): 0 where e^-x overflows.
__device__ inline float sigmoid(float x) {
  return __fdividef(1.0F, 1.0F + __expf(-x));
}

struct Gelu {
  __device__ float operator()(float x) const {
    return x * sigmoid(x * fmaf(kCubic, x * x, kLinear));
  }
};

struct GeluBackward {
  __device__ float operator()(float dy, float x) const {
    const float square = x * x;
    const float s = sigmoid(x * fmaf(kCubic, square, kLinear));
    const float inner = fmaf(3 * kCubic, square, kLinear);  // d(2u)/dx
    return dy * fmaf(x * inner, s * (1.0F - s), s);
  }
};

struct Relu {
  __device__ float operator()(float x) const { return x < 0.0F ? 0.0F : x; }  // keeps NaN
};

struct ReluBackward {
  __device__ float operator()(float dy, float y) const { return y > 0.0F ? dy : 0.0F; }
};

/// Over the vectors, fewer than 2^32, of the [rows, columns] side, with `columns` a multiple of N.
template <int N, typename T>
__global__ void __launch_bounds__(kMapThreads)
    swiglu_kernel(const T* x, T* y, std::int64_t vectors, Divisor row_vectors) {
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  const std::int64_t columns = std::int64_t{row_vectors.value()} * N;
  for (std::int64_t v = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; v < vectors;
       v += threads) {
    // Row r of x begins where row 2r of y would.
    const T* gate = x + v * N + row_vectors.divide(static_cast<std::uint32_t>(v)) * columns;
    float g[N];
    float up[N];
    load_floats(gate, g);
    load_floats(gate + columns, up);
#pragma unroll
    for (int k = 0; k < N; ++k) g[k] = g[k] * sigmoid(g[k]) * up[k];
    store_floats(y + v * N, g);
  }
}

template <int N, typename T>
__global__ void __launch_bounds__(kMapThreads)
    swiglu_backward_kernel(const T* dy, const T* x, T* dx, std::int64_t vectors,
                           Divisor row_vectors) {
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  const std::int64_t columns = std::int64_t{row_vectors.value()} * N;
  for (std::int64_t v = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; v < vectors;
       v += threads) {
    const std::int64_t at = v * N + row_vectors.divide(static_cast<std::uint32_t>(v)) * columns;
    float gradient[N];
    float g[N];
    float up[N];
    load_floats(dy + v * N, gradient);
    load_floats(x + at, g);
    load_floats(x + at + columns, up);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const float s = sigmoid(g[k]);
      const float silu = g[k] * s;
      // d silu / dg = s (1 + g (1 - s)) = s + silu (1 - s)
      g[k] = gradient[k] * (up[k] * fmaf(silu, 1.0F - s, s));
      up[k] = gradient[k] * silu;
    }
    store_floats(dx + at, g);
    store_floats(dx + at + columns, up);
  }
}

}  // namespace

template <typename T>
void ActivationKernels<T>::gelu(const CudaLaunch& launch, const T* x, T* y, std::int64_t count) {
  launch_map_one(launch, x, y, count, Gelu{});
}
template <typename T>
void ActivationKernels<T>::relu(const CudaLaunch& launch, const T* x, T* y, std::int64_t count) {
  launch_map_one(launch, x, y, count, Relu{});
}
template <typename T>
void ActivationKernels<T>::gelu_backward(const CudaLaunch& launch, const T* dy, const T* x, T* dx,
                                         std::int64_t count) {
  launch_map_two(launch, dy, x, dx, count, GeluBackward{});
}
template <typename T>
void ActivationKernels<T>::relu_backward(const CudaLaunch& launch, const T* dy, const T* y, T* dx,
                                         std::int64_t count) {
  launch_map_two(launch, dy, y, dx, count, ReluBackward{});
}

template <typename T>
void ActivationKernels<T>::swiglu(const CudaLaunch& launch, const T* x, T* y, std::int64_t rows,
                                  std::int64_t columns) {
  if (rows * columns == 0) return;
  const bool whole = columns % kVector<T> == 0 && aligned(16, x, y);
  const int elements = whole ? kVector<T> : 1;
  const std::int64_t vectors = rows * columns / elements;
  const Divisor row_vectors(columns / elements);
  const unsigned blocks = launch.blocks(pieces_of(vectors, kMapThreads), kMapBlocks);
  const auto kernel = whole ? swiglu_kernel<kVector<T>, T> : swiglu_kernel<1, T>;
  kernel<<<blocks, kMapThreads, 0, launch.stream>>>(x, y, vectors, row_vectors);
}

template <typename T>
void ActivationKernels<T>::swiglu_backward(const CudaLaunch& launch, const T* dy, const T* x, T* dx,
                                           std::int64_t rows, std::int64_t columns) {
  if (rows * columns == 0) return;
  const bool whole = columns % kVector<T> == 0 && aligned(16, dy, x, dx);
  const int elements = whole ? kVector<T> : 1;
  const std::int64_t vectors = rows * columns / elements;
  const Divisor row_vectors(columns / elements);
  const unsigned blocks = launch.blocks(pieces_of(vectors, kMapThreads), kMapBlocks);
  const auto kernel = whole ? swiglu_backward_kernel<kVector<T>, T> : swiglu_backward_kernel<1, T>;
  kernel<<<blocks, kMapThreads, 0, launch.stream>>>(dy, x, dx, vectors, row_vectors);
}

template struct ActivationKernels<float>;
template struct ActivationKernels<Bf16>;

}  // namespace ingot::cuda
