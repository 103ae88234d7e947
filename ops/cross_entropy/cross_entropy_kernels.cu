// CUDA kernels of cross_entropy: the loss and its gradient together, without keeping probabilities.
//
// Short rows belong to a warp and stay in registers. The row of a vocabulary belongs to a block and
// stays on the multiprocessor, so that global memory is read once and written once: in shared
// memory (100 KiB for 50304 bf16 logits), and where that is too little, its first 96 KiB in the
// registers of 1024 threads and the rest in shared memory. That is enough for 50257 f32 or 128256
// bf16 logits on sm_80 (258 KiB in all), for 82000 f32 or 164000 bf16 logits on sm_90 and sm_100,
// and for 49000 f32 logits where a block has 99 KiB (sm_86, sm_89).
//
// Only longer rows, rows of two tensors that lie differently to 16-byte boundaries, and losses
// without gradient are not kept: the maximum and the sum are found in one pass by rescaling, and a
// second pass reads the row again for the gradient, from the second cache as far as it holds the
// rows in work.
#include "ops/cross_entropy/cross_entropy_kernels.hpp"
#include "ops/cuda_fault.cuh"
#include "ops/cuda_reduce.cuh"
#include "ops/cuda_vector.cuh"

namespace ingot::cuda {
namespace {

constexpr int kRowWarps = 8;       ///< rows at a time of a block whose warps have rows
constexpr int kWarpColumns = 256;  ///< of the longest row of a warp
constexpr int kLongestBlock = 1024;
constexpr int kKeptVectors = 6;  ///< in registers of a thread, where shared memory is too little

template <typename T>
struct Arguments {
  const T* logits;
  const std::int32_t* targets;
  float* losses;
  T* dlogits;
  std::int64_t rows;
  int columns;
  KernelFault* fault;
};

/// The target of a row, read by one lane; -1 where the row is not counted.
template <typename T>
__device__ inline int target_of(const Arguments<T>& arguments, std::int64_t row) {
  int target = 0;
  if (threadIdx.x % 32 == 0) {
    target = arguments.targets[row];
    if (target >= arguments.columns) {
      report_fault(arguments.fault, FaultKind::kTarget, target, row, arguments.columns);
      target = -1;
    }
  }
  return __shfl_sync(kWholeWarp, target, 0);
}

/// A warp's row, kWarpColumns / 32 elements a lane.
template <typename T>
__global__ void __launch_bounds__(32 * kRowWarps)
    cross_entropy_warp_kernel(const Arguments<T> arguments) {
  constexpr int kElements = kWarpColumns / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (std::int64_t row = std::int64_t{blockIdx.x} * kRowWarps + threadIdx.x / 32;
       row < arguments.rows; row += std::int64_t{gridDim.x} * kRowWarps) {
    const int target = target_of(arguments, row);
    const std::int64_t at = row * arguments.columns;
    float x[kElements];
    float largest = Maximum::identity<float>();
    float own = 0;  // the target's logit, on the lane that has it
#pragma unroll
    for (int k = 0; k < kElements; ++k) {
      const int c = k * 32 + lane;
      x[k] = c < arguments.columns ? load_float(arguments.logits + at + c)
                                   : Maximum::identity<float>();
      largest = fmaxf(largest, x[k]);
      if (c == target) own = x[k];
    }
    largest = reduce_warp<Maximum>(largest);
    float sum = 0;
#pragma unroll
    for (int k = 0; k < kElements; ++k) {
      x[k] = k * 32 + lane < arguments.columns ? __expf(x[k] - largest) : 0.0F;
      sum += x[k];
    }
    sum = reduce_warp<Sum>(sum);
    own = __shfl_sync(kWholeWarp, own, target < 0 ? 0 : target % 32);
    if (lane == 0) {
      arguments.losses[row] = target < 0 ? 0.0F : logf(sum) - (own - largest);
    }
    if (arguments.dlogits == nullptr) continue;
    const float scale = 1.0F / sum;
#pragma unroll
    for (int k = 0; k < kElements; ++k) {
      const int c = k * 32 + lane;
      if (c >= arguments.columns) continue;
      const float probability = x[k] * scale;
      const float gradient = c == target ? probability - 1.0F : probability;
      store_float(arguments.dlogits + at + c, target < 0 ? 0.0F : gradient);
    }
  }
}

/// How a block walks along a row that may begin anywhere: single elements up to the first 16-byte
/// boundary, vectors, single elements. `head` is `columns` where vectors are out of the question.
template <typename T>
struct RowWalk {
  static constexpr int N = kVector<T>;
  int head;
  int vectors;
  int tail;  ///< column where the vectors end

  __device__ RowWalk(const T* row, int columns, bool whole) {
    const auto offset = static_cast<int>(reinterpret_cast<std::uintptr_t>(row) % 16 / sizeof(T));
    head = whole ? min((N - offset) % N, columns) : columns;
    vectors = (columns - head) / N;
    tail = head + vectors * N;
  }
  /// Calls vector(c) for vectors at column c and single(c) for the other elements.
  template <typename OnVector, typename OnSingle>
  __device__ void walk(int columns, OnVector on_vector, OnSingle on_single) const {
    const int thread = static_cast<int>(threadIdx.x);
    const int threads = static_cast<int>(blockDim.x);
    for (int v = thread; v < vectors; v += threads) on_vector(head + v * N);
    for (int c = thread; c < head; c += threads) on_single(c);
    for (int c = tail + thread; c < columns; c += threads) on_single(c);
  }
};

template <typename T>
__device__ inline void write_zeros(const RowWalk<T>& walk, T* to, int columns) {
  walk.walk(
      columns, [&](int c) { Packed<T, kVector<T>>::zero().store(to + c); },
      [&](int c) { store_float(to + c, 0.0F); });
}

/// A block's row, in shared memory.
template <typename T>
__global__ void __launch_bounds__(kLongestBlock)
    cross_entropy_block_kernel(const Arguments<T> arguments, bool whole) {
  constexpr int N = kVector<T>;
  extern __shared__ uint4 row_memory[];
  __shared__ float scratch[BlockReduction<float, 1>::kSharedValues];
  BlockReduction<float, 1> block(scratch);
  const int columns = arguments.columns;
  for (std::int64_t row = blockIdx.x; row < arguments.rows; row += gridDim.x) {
    const int target = target_of(arguments, row);
    const T* x = arguments.logits + row * columns;
    T* dx = arguments.dlogits + row * columns;
    const RowWalk<T> walk(x, columns, whole);
    if (target < 0) {
      write_zeros(walk, dx, columns);
      if (threadIdx.x == 0) arguments.losses[row] = 0;
      continue;
    }
    // Shifted so that vectors of global memory are vectors here.
    T* kept = reinterpret_cast<T*>(row_memory) + (N - walk.head % N) % N;

    float value[1] = {Maximum::identity<float>()};
    walk.walk(
        columns,
        [&](int c) {
          const auto vector = Packed<T, N>::load(x + c);
          vector.store_shared(kept + c);
          float logits[N];
          vector.unpack(logits);
#pragma unroll
          for (const float logit : logits) value[0] = fmaxf(value[0], logit);
        },
        [&](int c) {
          const float logit = load_float(x + c);
          store_float(kept + c, logit);
          value[0] = fmaxf(value[0], logit);
        });
    block.template reduce<Maximum>(value);
    const float largest = value[0];

    value[0] = 0;
    walk.walk(
        columns,
        [&](int c) {
          float logits[N];
          load_floats(kept + c, logits);
#pragma unroll
          for (const float logit : logits) value[0] += __expf(logit - largest);
        },
        [&](int c) { value[0] += __expf(load_float(kept + c) - largest); });
    block.template reduce<Sum>(value);
    const float scale = 1.0F / value[0];
    if (threadIdx.x == 0) {
      arguments.losses[row] = logf(value[0]) - (load_float(kept + target) - largest);
    }
    walk.walk(
        columns,
        [&](int c) {
          float logits[N];
          load_floats(kept + c, logits);
#pragma unroll
          for (int i = 0; i < N; ++i) {
            logits[i] = __expf(logits[i] - largest) * scale;
            if (c + i == target) logits[i] -= 1.0F;
          }
          store_floats(dx + c, logits);
        },
        [&](int c) {
          const float probability = __expf(load_float(kept + c) - largest) * scale;
          store_float(dx + c, c == target ? probability - 1.0F : probability);
        });
    // The next row's elements are kept where other threads may still read this one's.
    __syncthreads();
  }
}

/// A block's row, kKeptVectors of a thread in its registers, the others in shared memory, and a
/// single element before and after the vectors. Both tensors lie alike to 16-byte boundaries.
template <typename T>
__global__ void __launch_bounds__(kLongestBlock, 1)
    cross_entropy_kept_kernel(const Arguments<T> arguments) {
  constexpr int N = kVector<T>;
  extern __shared__ uint4 row_memory[];
  __shared__ float scratch[BlockReduction<float, 1>::kSharedValues];
  BlockReduction<float, 1> block(scratch);
  T* others = reinterpret_cast<T*>(row_memory);
  const int thread = static_cast<int>(threadIdx.x);
  const int columns = arguments.columns;
  for (std::int64_t row = blockIdx.x; row < arguments.rows; row += gridDim.x) {
    const int target = target_of(arguments, row);
    const T* x = arguments.logits + row * columns;
    T* dx = arguments.dlogits + row * columns;
    const RowWalk<T> walk(x, columns, true);
    if (target < 0) {
      write_zeros(walk, dx, columns);
      if (thread == 0) arguments.losses[row] = 0;
      continue;
    }
    // Read before anything is written: dx may be x.
    const float own = thread == 0 ? load_float(x + target) : 0.0F;
    // Elements that a thread has not are minus infinity, whose exponential is 0.
    const int before = thread < walk.head ? thread : -1;
    const int after = walk.tail + thread < columns ? walk.tail + thread : -1;
    float single[2] = {before >= 0 ? load_float(x + before) : Maximum::identity<float>(),
                       after >= 0 ? load_float(x + after) : Maximum::identity<float>()};
    Packed<T, N> kept[kKeptVectors];
    float value[1] = {fmaxf(single[0], single[1])};
#pragma unroll
    for (int k = 0; k < kKeptVectors; ++k) {
      const int v = k * kLongestBlock + thread;
      if (v >= walk.vectors) break;
      kept[k] = Packed<T, N>::load(x + walk.head + v * N);
    }
    for (int v = kKeptVectors * kLongestBlock + thread; v < walk.vectors; v += kLongestBlock) {
      const auto vector = Packed<T, N>::load(x + walk.head + v * N);
      vector.store_shared(others + (v - kKeptVectors * kLongestBlock) * N);
      float logits[N];
      vector.unpack(logits);
#pragma unroll
      for (const float logit : logits) value[0] = fmaxf(value[0], logit);
    }
    // on_vector(column, logits) of every vector of the thread.
    const auto walk_vectors = [&](auto on_vector) {
      float logits[N];
#pragma unroll
      for (int k = 0; k < kKeptVectors; ++k) {
        const int v = k * kLongestBlock + thread;
        if (v >= walk.vectors) break;
        kept[k].unpack(logits);
        on_vector(walk.head + v * N, logits);
      }
      for (int v = kKeptVectors * kLongestBlock + thread; v < walk.vectors; v += kLongestBlock) {
        load_floats(others + (v - kKeptVectors * kLongestBlock) * N, logits);
        on_vector(walk.head + v * N, logits);
      }
    };
#pragma unroll
    for (int k = 0; k < kKeptVectors; ++k) {
      if (k * kLongestBlock + thread >= walk.vectors) break;
      float logits[N];
      kept[k].unpack(logits);
#pragma unroll
      for (const float logit : logits) value[0] = fmaxf(value[0], logit);
    }
    block.template reduce<Maximum>(value);
    const float largest = value[0];

    value[0] = 0;
    walk_vectors([&](int /*c*/, const float(&logits)[N]) {
#pragma unroll
      for (const float logit : logits) value[0] += __expf(logit - largest);
    });
#pragma unroll
    for (const float logit : single) {
      if (logit != Maximum::identity<float>()) value[0] += __expf(logit - largest);
    }
    block.template reduce<Sum>(value);
    const float scale = 1.0F / value[0];
    if (thread == 0) arguments.losses[row] = logf(value[0]) - (own - largest);
    walk_vectors([&](int c, float(&logits)[N]) {
#pragma unroll
      for (int i = 0; i < N; ++i) {
        logits[i] = __expf(logits[i] - largest) * scale;
        if (c + i == target) logits[i] -= 1.0F;
      }
      store_floats(dx + c, logits);
    });
    const auto write_single = [&](int c, float logit) {
      if (c < 0) return;
      const float probability = __expf(logit - largest) * scale;
      store_float(dx + c, c == target ? probability - 1.0F : probability);
    };
    write_single(before, single[0]);
    write_single(after, single[1]);
    // A thread reads only what it kept itself: nothing of the next row is written too early.
  }
}

/// The sum of exponentials so far, relative to the largest value so far.
struct Running {
  float largest = Maximum::identity<float>();
  float sum = 0;

  template <int N>
  __device__ void add(const float (&values)[N]) {
    float here = largest;
#pragma unroll
    for (const float value : values) here = fmaxf(here, value);
    if (here > largest) {
      sum *= __expf(largest - here);
      largest = here;
    }
    // Minus infinity everywhere so far adds nothing, and its distance to itself is not a number.
    const float shift = largest == Maximum::identity<float>() ? 0.0F : largest;
#pragma unroll
    for (const float value : values) sum += __expf(value - shift);
  }
};

/// A block's row, read once for the loss and again for the gradient.
template <typename T>
__global__ void __launch_bounds__(kLongestBlock)
    cross_entropy_reread_kernel(const Arguments<T> arguments, bool whole) {
  constexpr int N = kVector<T>;
  __shared__ float scratch[BlockReduction<float, 1>::kSharedValues];
  BlockReduction<float, 1> block(scratch);
  const int columns = arguments.columns;
  for (std::int64_t row = blockIdx.x; row < arguments.rows; row += gridDim.x) {
    const int target = target_of(arguments, row);
    const T* x = arguments.logits + row * columns;
    T* dx = arguments.dlogits == nullptr ? nullptr : arguments.dlogits + row * columns;
    const RowWalk<T> walk(x, columns, whole);
    if (target < 0) {
      if (dx != nullptr) write_zeros(walk, dx, columns);
      if (threadIdx.x == 0) arguments.losses[row] = 0;
      continue;
    }
    // Read before anything is written: dx may be x.
    const float own = threadIdx.x == 0 ? load_float(x + target) : 0.0F;
    Running running;
    walk.walk(
        columns,
        [&](int c) {
          float logits[N];
          load_floats(x + c, logits);
          running.add(logits);
        },
        [&](int c) {
          const float logit[1] = {load_float(x + c)};
          running.add(logit);
        });
    float value[1] = {running.largest};
    block.template reduce<Maximum>(value);
    const float largest = value[0];
    // A thread without elements has the sum 0 of minus infinity.
    value[0] = running.sum == 0.0F ? 0.0F : running.sum * __expf(running.largest - largest);
    block.template reduce<Sum>(value);
    if (threadIdx.x == 0) arguments.losses[row] = logf(value[0]) - (own - largest);
    if (dx == nullptr) continue;
    const float scale = 1.0F / value[0];
    walk.walk(
        columns,
        [&](int c) {
          float logits[N];
          load_floats(x + c, logits);
#pragma unroll
          for (int i = 0; i < N; ++i) {
            logits[i] = __expf(logits[i] - largest) * scale;
            if (c + i == target) logits[i] -= 1.0F;
          }
          store_floats(dx + c, logits);
        },
        [&](int c) {
          const float probability = __expf(load_float(x + c) - largest) * scale;
          store_float(dx + c, c == target ? probability - 1.0F : probability);
        });
  }
}

}  // namespace

template <typename T>
void CrossEntropyKernels<T>::run(const CudaLaunch& launch, const T* logits,
                                 const std::int32_t* targets, float* losses, T* dlogits,
                                 std::int64_t rows, std::int64_t columns) {
  if (rows == 0) return;
  const Arguments<T> arguments{
      logits, targets, losses, dlogits, rows, static_cast<int>(columns), launch.fault};
  if (columns <= kWarpColumns) {
    cross_entropy_warp_kernel<<<launch.blocks(pieces_of(rows, kRowWarps), 8), 32 * kRowWarps, 0,
                                launch.stream>>>(arguments);
    return;
  }
  // Rows of both tensors then lie alike relative to 16-byte boundaries.
  const bool whole = aligned(16, logits, dlogits);
  const auto vectors = static_cast<int>(pieces_of(columns, kVector<T>));
  // Some four vectors for a thread, so that its loads overlap.
  const int threads = std::clamp(vectors / 4 / 32 * 32, 64, kLongestBlock);
  const int shared = (vectors + 2) * 16;
  const auto allow = [](auto kernel, int bytes) {
    if (bytes <= 47 * 1024) return;
    (void)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  };
  const int most = launch.shared_bytes - 1024;
  const int beside_registers = shared - kKeptVectors * kLongestBlock * 16;
  if (dlogits != nullptr && whole && shared > most && beside_registers <= most) {
    const auto kernel = cross_entropy_kept_kernel<T>;
    const int others = std::max(beside_registers, 16);
    allow(kernel, others);
    kernel<<<launch.blocks(rows, 1), kLongestBlock, static_cast<std::size_t>(others),
             launch.stream>>>(arguments);
    return;
  }
  if (dlogits == nullptr || shared > most) {
    cross_entropy_reread_kernel<<<launch.blocks(rows, 2048 / threads), threads, 0, launch.stream>>>(
        arguments, whole);
    return;
  }
  const auto kernel = cross_entropy_block_kernel<T>;
  allow(kernel, shared);
  const int together = std::max(1, std::min(2048 / threads, launch.shared_bytes / (shared + 2048)));
  kernel<<<launch.blocks(rows, together), threads, static_cast<std::size_t>(shared),
           launch.stream>>>(arguments, whole);
}

template struct CrossEntropyKernels<float>;
template struct CrossEntropyKernels<Bf16>;

}  // namespace ingot::cuda
