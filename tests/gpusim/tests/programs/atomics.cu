// Atomic operations of every type and kind, on global and on shared memory, and cuda::atomic_ref.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cuda/atomic>

#include "check.cuh"

struct Results {
  int added, smallest, largest, exchanged;
  unsigned incremented, decremented, united, common, toggled;
  unsigned long long wide, wide_largest, swapped;
  float real;
  double precise;
  __half2 pair;
  __nv_bfloat162 bpair;
  int by_reference;
};

template <bool kShared>
__global__ void all_kinds(Results* out) {
  __shared__ Results mine;
  Results* r = kShared ? &mine : out;
  if (threadIdx.x == 0 && (kShared || blockIdx.x == 0)) *r = *out;
  __syncthreads();
  const int i = static_cast<int>(threadIdx.x);
  atomicAdd(&r->added, i);
  atomicMin(&r->smallest, -i);
  atomicMax(&r->largest, i * 2);
  atomicExch(&r->exchanged, 77);
  atomicInc(&r->incremented, 9U);
  atomicDec(&r->decremented, 99U);
  atomicOr(&r->united, 1U << (i % 32));
  atomicAnd(&r->common, ~(1U << (i % 16)));
  atomicXor(&r->toggled, 1U << (i % 32));
  atomicAdd(&r->wide, 1ULL << 33);
  atomicMax(&r->wide_largest, static_cast<unsigned long long>(i) << 40);
  atomicCAS(&r->swapped, 5ULL, 6ULL);
  atomicAdd(&r->real, 0.5F);
  atomicAdd(&r->precise, 0.25);
  atomicAdd(&r->pair, __floats2half2_rn(1.0F, 2.0F));
  atomicAdd(&r->bpair, __floats2bfloat162_rn(1.0F, 0.5F));
  cuda::atomic_ref<int, cuda::thread_scope_device> reference(r->by_reference);
  reference.fetch_add(3, cuda::memory_order_relaxed);
  __syncthreads();
  if (kShared && threadIdx.x == 0) *out = mine;
}

int main() {
  for (const bool shared : {false, true}) {
    Results start = {};
    start.common = 0xffffffff;
    start.swapped = 5;
    start.decremented = 3;
    Buffer<Results> out(std::vector<Results>{start});
    if (shared) {
      all_kinds<true><<<1, 64>>>(out.data());
    } else {
      all_kinds<false><<<1, 64>>>(out.data());
    }
    finish();
    const Results r = out.download()[0];
    require(r.added == 63 * 32, "add");
    require(r.smallest == -63 && r.largest == 126, "min and max");
    require(r.exchanged == 77, "exchange");
    require(r.incremented == 64 % 10, "increment wraps");
    require(r.decremented == 99 - 60, "decrement wraps");
    require(r.united == 0xffffffff && r.common == 0xffff0000 && r.toggled == 0, "bits");
    require(r.wide == 64ULL << 33 && r.wide_largest == 63ULL << 40, "64 bits");
    require(r.swapped == 6, "compare and swap");
    require(r.real == 32 && r.precise == 16, "floating point");
    require(__low2float(r.pair) == 64 && __high2float(r.pair) == 128, "pairs of halves");
    require(__low2float(r.bpair) == 64 && __high2float(r.bpair) == 32, "pairs of bfloat16");
    require(r.by_reference == 192, "atomic_ref");
  }
  return done();
}
