// CUDA kernel of rope. Angles are worked out in f64, in turns, of which only the fraction matters:
// positions of many thousands would lose it in f32. A block works out the sines and cosines of a
// few tokens once, into shared memory, and turns all their heads by them.
#include "ops/cuda_divisor.cuh"
#include "ops/cuda_vector.cuh"
#include "ops/rope/rope_kernels.hpp"

namespace ingot::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTokens = 4;  ///< of a block at a time

/// A vector of N pairs reads its angles four at a time. They are kept such that neighbouring
/// vectors read neighbouring 16 bytes: the first four of all vectors, then the second four.
template <int N>
struct AnglePlace {
  static constexpr int kPart = N < 4 ? N : 4;
  static constexpr int kParts = N / kPart;

  /// The pair whose angle stands at place `at` of a token's.
  static __device__ int pair_at(int at, int half) {
    const int area = half / kParts;
    const int part = kParts == 2 && at >= area ? 1 : 0;
    const int within = at - part * area;
    return within / kPart * N + part * kPart + within % kPart;
  }
  /// Of pairs [v N + part * kPart, + kPart).
  static __device__ int place(int v, int part, int half) {
    return part * (half / kParts) + v * kPart;
  }
};

template <int N, typename T>
__global__ void __launch_bounds__(kThreads, 4)
    rope_kernel(const typename RopeKernels<T>::Arguments arguments,
                const __grid_constant__ RopeTurns turns, Divisor token_items,
                Divisor head_vectors) {
  using Place = AnglePlace<N>;
  extern __shared__ float4 angle_memory[];
  __shared__ double shared_turns[kRopePairs];  // in the order of places
  const int half = arguments.head_size / 2;
  auto* cosines = reinterpret_cast<float*>(angle_memory);  // [kTokens, half]
  float* sines = cosines + kTokens * half;
  for (int i = static_cast<int>(threadIdx.x); i < half; i += kThreads) {
    shared_turns[i] = turns.of_pair[Place::pair_at(i, half)];
  }
  __syncthreads();
  const std::int64_t width =
      std::int64_t{arguments.rotated + arguments.values} * arguments.head_size;
  const std::uint32_t pairs = static_cast<std::uint32_t>(arguments.rotated) * head_vectors.value();
  for (std::int64_t first = std::int64_t{blockIdx.x} * kTokens; first < arguments.tokens;
       first += std::int64_t{gridDim.x} * kTokens) {
    const int tokens = static_cast<int>(min(std::int64_t{kTokens}, arguments.tokens - first));
    for (int token = 0; token < tokens; ++token) {
      int index = 0;
      if (threadIdx.x % 32 == 0) index = arguments.positions[first + token];
      const auto position = static_cast<double>(__shfl_sync(0xffffffffU, index, 0));
      for (int at = static_cast<int>(threadIdx.x); at < half; at += kThreads) {
        const double turn = position * shared_turns[at];
        const auto fraction = static_cast<float>(turn - rint(turn));
        sincospif(2.0F * fraction, sines + token * half + at, cosines + token * half + at);
      }
    }
    __syncthreads();
    const auto items = static_cast<std::uint32_t>(tokens) * token_items.value();
    for (std::uint32_t item = threadIdx.x; item < items; item += kThreads) {
      const std::uint32_t token = token_items.divide(item);
      const std::uint32_t rest = item - token * token_items.value();
      const std::int64_t row = (first + token) * width;
      if (rest >= pairs) {  // a vector of a value head
        const std::int64_t at = row + std::int64_t{arguments.rotated} * arguments.head_size +
                                std::int64_t{rest - pairs} * N;
        Packed<T, N>::load(arguments.x + at).store(arguments.y + at);
        continue;
      }
      const std::uint32_t head = head_vectors.divide(rest);
      const auto v = static_cast<int>(rest - head * head_vectors.value());
      const std::int64_t at = row + std::int64_t{head} * arguments.head_size + v * N;
      float a[N];
      float b[N];
      load_floats(arguments.x + at, a);
      load_floats(arguments.x + at + half, b);
#pragma unroll
      for (int part = 0; part < Place::kParts; ++part) {
        float cosine[Place::kPart];
        float sine[Place::kPart];
        const int place = static_cast<int>(token) * half + Place::place(v, part, half);
        load_floats(cosines + place, cosine);
        load_floats(sines + place, sine);
#pragma unroll
        for (int i = 0; i < Place::kPart; ++i) {
          const int k = part * Place::kPart + i;
          const float turned = fmaf(-b[k], sine[i], a[k] * cosine[i]);
          b[k] = fmaf(a[k], sine[i], b[k] * cosine[i]);
          a[k] = turned;
        }
      }
      store_floats(arguments.y + at, a);
      store_floats(arguments.y + at + half, b);
    }
    __syncthreads();  // the angles are written again
  }
}

template <int N, typename T>
void launch_as(const CudaLaunch& launch, const typename RopeKernels<T>::Arguments& arguments,
               const RopeTurns& turns) {
  const std::int64_t half = arguments.head_size / 2;
  const std::int64_t copied =
      arguments.x == arguments.y ? 0 : std::int64_t{arguments.values} * arguments.head_size / N;
  const std::int64_t items = arguments.rotated * (half / N) + copied;
  const auto shared = static_cast<std::size_t>(2 * kTokens * half) * sizeof(float);
  rope_kernel<N, T>
      <<<launch.blocks(pieces_of(arguments.tokens, kTokens), 8), kThreads, shared, launch.stream>>>(
          arguments, turns, Divisor(items), Divisor(half / N));
}

}  // namespace

template <typename T>
void RopeKernels<T>::run(const CudaLaunch& launch, const Arguments& arguments,
                         const RopeTurns& turns) {
  if (arguments.tokens == 0) return;
  if (arguments.head_size / 2 % kVector<T> == 0 && aligned(16, arguments.x, arguments.y)) {
    launch_as<kVector<T>, T>(launch, arguments, turns);
  } else {
    launch_as<1, T>(launch, arguments, turns);
  }
}

template struct RopeKernels<float>;
template struct RopeKernels<Bf16>;

}  // namespace ingot::cuda
