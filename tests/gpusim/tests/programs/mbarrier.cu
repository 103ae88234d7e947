// mbarrier by inline PTX as sm_90 has it: transaction counts, bulk copies both ways, parity waits
// in loops with labels of their own.
//
// architectures: 90 100
#include <cstdint>

#include "check.cuh"

__device__ std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ void wait_parity(std::uint32_t barrier, unsigned parity) {
  asm volatile(
      "{\n"
      ".reg .pred P1;\n"
      "LAB_WAIT:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 P1, [%0], %1;\n"
      "@P1 bra DONE;\n"
      "bra LAB_WAIT;\n"
      "DONE:\n"
      "}\n" ::"r"(barrier),
      "r"(parity)
      : "memory");
}

__global__ void bulk(const int* in, int* out, int rounds) {
  __shared__ alignas(128) int tile[256];
  __shared__ alignas(8) std::uint64_t barrier;
  const std::uint32_t address = shared_address(&barrier);
  if (threadIdx.x == 0) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(address));
    asm volatile("fence.mbarrier_init.release.cluster;");
  }
  __syncthreads();
  for (int r = 0; r < rounds; ++r) {
    if (threadIdx.x == 0) {
      asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address),
                   "r"(static_cast<int>(sizeof tile))
                   : "memory");
      asm volatile(
          "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, "
          "[%3];" ::"r"(shared_address(tile)),
          "l"(in + r * 256), "r"(static_cast<int>(sizeof tile)), "r"(address)
          : "memory");
    }
    wait_parity(address, r & 1);
    const int value = tile[255 - threadIdx.x] + 1;
    __syncthreads();
    tile[threadIdx.x] = value;
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    if (threadIdx.x == 0) {
      asm volatile(
          "cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(out + r * 256),
          "r"(shared_address(tile)), "r"(static_cast<int>(sizeof tile))
          : "memory");
      asm volatile("cp.async.bulk.commit_group;");
      asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
    }
    __syncthreads();
  }
}

/// One lane is elected; the others wait at the end of the branch.
__global__ void elect(int* out) {
  unsigned elected = 0;
  asm volatile(
      "{\n"
      ".reg .pred P1;\n"
      "elect.sync _|P1, 0xffffffff;\n"
      "selp.b32 %0, 1, 0, P1;\n"
      "}\n"
      : "=r"(elected));
  out[threadIdx.x] = static_cast<int>(elected);
}

int main() {
  std::vector<int> values(1024);
  for (int i = 0; i < 1024; ++i) values[i] = i * 5;
  Buffer<int> in(values);
  Buffer<int> out(1024);
  bulk<<<1, 256>>>(in.data(), out.data(), 4);
  finish();
  auto found = out.download();
  for (int i = 0; i < 1024; ++i) {
    require(found[i] == values[i / 256 * 256 + 255 - i % 256] + 1, "a bulk copy both ways");
  }
  elect<<<1, 32>>>(out.data());
  finish();
  found = out.download();
  int elected = 0;
  for (int i = 0; i < 32; ++i) elected += found[i];
  require(elected == 1, "exactly one lane is elected");
  return done();
}
