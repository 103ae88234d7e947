// Two translation units that are linked on the device: functions, variables, constants, a table of
// function pointers, and static symbols of one name in both.
//
// nvcc: -rdc=true
// with: relocatable.part.cu
#include "check.cuh"

extern __device__ int shared_counter;
extern __constant__ float coefficients[4];
extern __device__ float (*const transformations[2])(float);
__device__ float helper(float x);
void run_other_unit(float* data);

static __device__ int own = 1;

__global__ void use_other_unit(float* out) {
  const int i = threadIdx.x;
  out[i] = helper(static_cast<float>(i)) * coefficients[1] + static_cast<float>(own) +
           transformations[i % 2](10.0F);
  atomicAdd(&shared_counter, 1);
}

int main() {
  Buffer<float> out(32);
  use_other_unit<<<1, 32>>>(out.data());
  finish();
  const auto values = out.download();
  require(values[4] == (4 + 2 + 50) * 2 + 1 + 20, "what two units compute together");
  require(values[5] == (5 + 2 + 50) * 2 + 1 - 10, "through the other unit's table");
  int counter = 0;
  check(cudaMemcpyFromSymbol(&counter, shared_counter, sizeof counter));
  require(counter == 50 + 32, "a variable of the other unit");
  run_other_unit(out.data());
  finish();
  require(out.download()[3] == 52, "a kernel of the other unit");
  return done();
}
