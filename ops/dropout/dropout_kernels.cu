// CUDA kernel of dropout: the CPU kernel's draws, one Philox block for four consecutive elements of
// a sample. Blocks have a part of one sample each, so that a sample's index is read once by a warp.
#include "ops/cuda_philox.cuh"
#include "ops/cuda_vector.cuh"
#include "ops/dropout/dropout_kernels.hpp"

namespace ingot::cuda {
namespace {

constexpr unsigned kThreads = 256;

/// Elements [4 b, 4 b + 4) of a sample, kept or dropped by the words of Philox block b.
__device__ inline void apply(float* values, uint4 words, std::int32_t threshold, float scale) {
  const std::uint32_t random[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const bool dropped = static_cast<std::int32_t>(random[k] >> 8) < threshold;
    values[k] = dropped ? 0.0F : values[k] * scale;
  }
}

/// N elements, 4 or 8, at a time. kWhole: samples are whole numbers of N and begin on boundaries of
/// such vectors; otherwise N is 4 and elements are read and written one by one.
template <int N, bool kWhole, typename T>
__global__ void __launch_bounds__(kThreads)
    dropout_kernel(const typename DropoutKernels<T>::Arguments arguments) {
  const bool first_lane = threadIdx.x % 32 == 0;
  const std::uint64_t seed =
      __shfl_sync(0xffffffffU, first_lane ? arguments.step->seed : std::uint64_t{0}, 0);
  const std::uint64_t layer = static_cast<std::uint64_t>(arguments.layer) << 40;
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t sample = blockIdx.y; sample < arguments.count; sample += gridDim.y) {
    const auto index = static_cast<std::uint64_t>(
        __shfl_sync(0xffffffffU, first_lane ? arguments.samples[sample] : std::int64_t{0}, 0));
    const T* x = arguments.x + sample * arguments.per_sample;
    T* y = arguments.y + sample * arguments.per_sample;
    for (std::int64_t e = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * N;
         e < arguments.per_sample; e += threads * N) {
      float values[N];
      const int here =
          kWhole ? N : static_cast<int>(min(arguments.per_sample - e, std::int64_t{N}));
      if constexpr (kWhole) {
        load_floats(x + e, values);
      } else {
#pragma unroll
        for (int k = 0; k < N; ++k) values[k] = k < here ? load_float(x + e + k) : 0.0F;
      }
#pragma unroll
      for (int part = 0; part < N; part += 4) {
        const std::uint64_t block = layer + static_cast<std::uint64_t>((e + part) / 4);
        apply(values + part, philox_words(seed, RandomPurpose::kDropout, index, block),
              arguments.threshold, arguments.scale);
      }
      if constexpr (kWhole) {
        store_floats(y + e, values);
      } else {
#pragma unroll
        for (int k = 0; k < N; ++k) {
          if (k < here) store_float(y + e + k, values[k]);
        }
      }
    }
  }
}

template <int N, bool kWhole, typename T>
void launch_as(const CudaLaunch& launch, const typename DropoutKernels<T>::Arguments& arguments) {
  const std::int64_t vectors = pieces_of(arguments.per_sample, N);
  const auto threads =
      static_cast<unsigned>(std::min<std::int64_t>(kThreads, (vectors + 31) / 32 * 32));
  // Two vectors of a sample for a thread, and samples in turns where there are too many.
  const std::int64_t most = std::int64_t{launch.multiprocessors} * (2048 / threads);
  const std::int64_t across = std::min(pieces_of(vectors, 2 * threads), most);
  const std::int64_t down = std::clamp<std::int64_t>(arguments.count, 1, pieces_of(most, across));
  const dim3 grid(static_cast<unsigned>(across),
                  static_cast<unsigned>(std::min<std::int64_t>(down, 65535)));
  dropout_kernel<N, kWhole, T><<<grid, threads, 0, launch.stream>>>(arguments);
}

}  // namespace

template <typename T>
void DropoutKernels<T>::run(const CudaLaunch& launch, const Arguments& arguments) {
  if (arguments.count * arguments.per_sample == 0) return;
  const auto fits = [&](int elements) {
    return arguments.per_sample % elements == 0 &&
           aligned(elements * sizeof(T), arguments.x, arguments.y);
  };
  if (fits(kVector<T>)) {
    launch_as<kVector<T>, true, T>(launch, arguments);
  } else if (fits(4)) {
    launch_as<4, true, T>(launch, arguments);
  } else {
    launch_as<4, false, T>(launch, arguments);
  }
}

template struct DropoutKernels<float>;
template struct DropoutKernels<Bf16>;

}  // namespace ingot::cuda
