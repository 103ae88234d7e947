// An all-reduce by direct loads of the peers' staging buffers, with one switch per thing that can
// be forgotten. Epochs lie in device memory, so that a graph can replay it.
#pragma once

#include "processes.cuh"

#ifndef SCOPE
#define SCOPE "sys"
#endif

constexpr int kBlocks = 2;
constexpr int kThreads = 96;
constexpr int kElements = 5 * kBlocks * kThreads;

struct Peers {
  float* staging[kMaxRanks];
  unsigned* flags[kMaxRanks];  ///< [phase][block][rank that sets it]
  int rank = 0, ranks = 0;
};

__device__ void set_flag(unsigned* flag, unsigned value) {
#ifdef WITH_FENCES
#ifndef WITHOUT_RELEASE
  __threadfence_system();
#endif
  *static_cast<volatile unsigned*>(flag) = value;
#elif defined(WITHOUT_RELEASE)
  asm volatile("st.relaxed.sys.global.u32 [%0], %1;" ::"l"(flag), "r"(value) : "memory");
#else
  asm volatile("st.release." SCOPE ".global.u32 [%0], %1;" ::"l"(flag), "r"(value) : "memory");
#endif
}

__device__ void wait_flag(unsigned* flag, unsigned value) {
#ifdef WITH_FENCES
  while (*static_cast<volatile unsigned*>(flag) < value) {
  }
#ifndef WITHOUT_ACQUIRE
  __threadfence_system();
#endif
#else
  unsigned seen = 0;
  do {
#ifdef WITHOUT_ACQUIRE
    asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(seen) : "l"(flag) : "memory");
#else
    asm volatile("ld.acquire." SCOPE ".global.u32 %0, [%1];" : "=r"(seen) : "l"(flag) : "memory");
#endif
  } while (seen < value);
#endif
}

__device__ void meet(const Peers& peers, int phase, unsigned epoch) {
#ifndef WITHOUT_BARRIER_BEFORE
  __syncthreads();
#endif
  const int peer = threadIdx.x;
  if (peer < peers.ranks) {
    const int place = (phase * kBlocks + blockIdx.x) * kMaxRanks;
    set_flag(peers.flags[peer] + place + peers.rank, epoch);
    wait_flag(peers.flags[peers.rank] + place + peer, epoch);
  }
#ifndef WITHOUT_BARRIER_BEHIND
  __syncthreads();
#endif
}

__global__ void one_shot(Peers peers, const float* in, float* out, unsigned* epochs) {
  const unsigned epoch = epochs[blockIdx.x] + 1;
  const int first = blockIdx.x * blockDim.x + threadIdx.x;
  for (int i = first; i < kElements; i += kBlocks * kThreads) {
    peers.staging[peers.rank][i] = in[i];
  }
  meet(peers, 0, epoch);
  for (int i = first; i < kElements; i += kBlocks * kThreads) {
    float sum = 0;
    // Not the element that this thread has staged.
    const int j = i - threadIdx.x + (kThreads - 1 - threadIdx.x);
    for (int r = 0; r < peers.ranks; ++r) sum += peers.staging[r][j];
    out[j] = sum;
  }
#ifndef WITHOUT_MEETING_BEFORE_REUSE
  meet(peers, 1, epoch);
#endif
  if (threadIdx.x == 0) epochs[blockIdx.x] = epoch;
}

__global__ void fill(float* to, float value) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < kElements) to[i] = value + static_cast<float>(i % 7);
}

/// Sums in a row without a word between the hosts, then replays of a graph.
inline void sum_often(const Ranks& ranks) {
  float *staging = nullptr, *in = nullptr, *out = nullptr;
  unsigned *flags = nullptr, *epochs = nullptr;
  constexpr std::size_t kBytes = kElements * sizeof(float);
  constexpr std::size_t kFlags = 2 * kBlocks * kMaxRanks * sizeof(unsigned);
  check(cudaMalloc(&staging, kBytes));
  check(cudaMalloc(&in, kBytes));
  check(cudaMalloc(&out, kBytes));
  check(cudaMalloc(&flags, kFlags));
  check(cudaMalloc(&epochs, kBlocks * sizeof(unsigned)));
  check(cudaMemset(flags, 0, kFlags));
  check(cudaMemset(epochs, 0, kBlocks * sizeof(unsigned)));
  check(cudaDeviceSynchronize());
  const std::vector<float*> all_staging = ranks.share(staging, 0);
  const std::vector<unsigned*> all_flags = ranks.share(flags, 1);
  Peers peers;
  peers.rank = ranks.rank;
  peers.ranks = ranks.ranks;
  for (int r = 0; r < ranks.ranks; ++r) {
    peers.staging[r] = all_staging[static_cast<std::size_t>(r)];
    peers.flags[r] = all_flags[static_cast<std::size_t>(r)];
  }
  cudaStream_t stream;
  check(cudaStreamCreate(&stream));
  const auto sum = [&](float value) {
    fill<<<(kElements + 127) / 128, 128, 0, stream>>>(in, value);
    one_shot<<<kBlocks, kThreads, 0, stream>>>(peers, in, out, epochs);
  };
  const auto expect = [&](float value) {
    std::vector<float> found(kElements);
    check(cudaMemcpyAsync(found.data(), out, kBytes, cudaMemcpyDeviceToHost, stream));
    check(cudaStreamSynchronize(stream));
    for (int i = 0; i < kElements; ++i) {
      const float all = static_cast<float>(ranks.ranks) * (value + static_cast<float>(i % 7));
#ifndef PLANTED
      require(found[static_cast<std::size_t>(i)] == all, "the sum");
#endif
      (void)all;
    }
  };
  for (int i = 0; i < 5; ++i) sum(static_cast<float>(i));
  expect(4);
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  sum(9);
  sum(8);
  check(cudaStreamEndCapture(stream, &graph));
  check(cudaGraphInstantiate(&exec, graph, 0));
  for (int i = 0; i < 3; ++i) check(cudaGraphLaunch(exec, stream));
  expect(8);
  check(cudaGraphExecDestroy(exec));
  check(cudaGraphDestroy(graph));
  ranks.close(all_staging);
  ranks.close(all_flags);
  check(cudaStreamDestroy(stream));
  for (void* memory : {static_cast<void*>(staging), static_cast<void*>(in), static_cast<void*>(out),
                       static_cast<void*>(flags), static_cast<void*>(epochs)}) {
    check(cudaFree(memory));
  }
}
