// Shared memory is read before the asynchronous copy into it has been waited for.
//
// expect: {FILE}:{BUG}.*thread \(0, ?0, ?0\)
#include "check.cuh"

__global__ void copy(const int4* in, int4* out) {
  __shared__ int4 tile[32];
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(&tile[threadIdx.x]));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(in + threadIdx.x)
               : "memory");
  asm volatile("cp.async.commit_group;" ::: "memory");
#ifdef CORRECT
  asm volatile("cp.async.wait_group 0;" ::: "memory");
#endif
  out[threadIdx.x] = tile[threadIdx.x];  // BUG
}

int main() {
  Buffer<int> in(samples<int>(128));
  Buffer<int> out(128);
  copy<<<1, 32>>>(reinterpret_cast<const int4*>(in.data()), reinterpret_cast<int4*>(out.data()));
  finish();
  return done();
}
