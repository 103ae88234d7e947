// Dynamic shared memory: beyond 48 KiB after asking for it, beside static arrays, and too much.
#include "check.cuh"

__global__ void reverse(const int* in, int* out, int n) {
  extern __shared__ int values[];
  __shared__ int offset;
  if (threadIdx.x == 0) offset = n - 1;
  for (int i = threadIdx.x; i < n; i += blockDim.x) values[i] = in[i];
  __syncthreads();
  for (int i = threadIdx.x; i < n; i += blockDim.x) out[i] = values[offset - i];
}

/// Another type of the same dynamic array, aligned to 16 bytes.
__global__ void sum_vectors(const float4* in, float* out, int n) {
  extern __shared__ float4 vectors[];
  for (int i = threadIdx.x; i < n; i += blockDim.x) vectors[i] = in[i];
  __syncthreads();
  if (threadIdx.x == 0) {
    float sum = 0;
    for (int i = 0; i < n; ++i) sum += vectors[i].x + vectors[i].w;
    *out = sum;
  }
}

int main() {
  const int most = 99 * 1024;
  for (const int n : {100, 10000, most / 4 - 1}) {
    std::vector<int> values(n);
    for (int i = 0; i < n; ++i) values[i] = i * 3;
    Buffer<int> in(values);
    Buffer<int> out(n);
    if (n * 4 > 48 * 1024) {
      reverse<<<1, 256, n * 4>>>(in.data(), out.data(), n);
      expect_error(cudaGetLastError(), cudaErrorInvalidValue);
      check(cudaFuncSetAttribute(reverse, cudaFuncAttributeMaxDynamicSharedMemorySize, n * 4));
    }
    reverse<<<1, 256, n * 4>>>(in.data(), out.data(), n);
    finish();
    require(out.download()[1] == values[n - 2], "reversed");
  }
  expect_error(cudaFuncSetAttribute(reverse, cudaFuncAttributeMaxDynamicSharedMemorySize, 1 << 20),
               cudaErrorInvalidValue);
  cudaGetLastError();
  std::vector<float4> vectors(64, make_float4(1, 2, 3, 4));
  Buffer<float4> in(vectors);
  Buffer<float> out(1);
  sum_vectors<<<1, 32, 64 * 16>>>(in.data(), out.data(), 64);
  finish();
  require(out.download()[0] == 320, "vectors in dynamic shared memory");
  return done();
}
