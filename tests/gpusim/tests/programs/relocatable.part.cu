// The other translation unit of relocatable.cu.
#include <cuda_runtime.h>

__device__ int shared_counter = 50;
__constant__ float coefficients[4] = {1, 2, 3, 4};

static __device__ int own = 2;

__device__ float twice(float x) {
  return 2 * x;
}
__device__ float negated(float x) {
  return -x;
}
extern __device__ float (*const transformations[2])(float);
__device__ float (*const transformations[2])(float) = {twice, negated};

__device__ float helper(float x) {
  return x + static_cast<float>(own) + 50;
}

__global__ void kernel_of_other_unit(float* out) {
  out[threadIdx.x] = static_cast<float>(own) + 50;
}

void run_other_unit(float* data) {
  kernel_of_other_unit<<<1, 32>>>(data);
}
