// Device, constant, managed and static variables, with initial values, and their symbols.
#include "check.cuh"

struct Table {
  int numbers[4];
  const char* name;
};

__constant__ float weights[8] = {1, 2, 3};
__constant__ int one_constant = 17;
__device__ int counter = 5;
__device__ double matrix[2][3] = {{1, 2}, {4}};
__device__ int* pointer_to_counter = &counter;
__device__ Table table = {{1, 2, 3, 4}, "name"};
__managed__ int shared_value = 3;
__managed__ float managed_array[100];
static __device__ unsigned char bytes[5] = {1, 2, 3, 4, 255};
namespace {
__device__ long long hidden = -9;
}

__global__ void read_all(double* out) {
  out[0] = weights[2] + weights[7];
  out[1] = one_constant;
  out[2] = *pointer_to_counter;
  out[3] = matrix[0][1] + matrix[0][2] + matrix[1][0];
  out[4] = table.numbers[3] + (table.name[0] == 'n' ? 100 : 0);
  out[5] = shared_value;
  out[6] = bytes[4];
  out[7] = static_cast<double>(hidden);
}

__global__ void change() {
  atomicAdd(&counter, 1);
  if (threadIdx.x == 0) shared_value += 10;
  managed_array[threadIdx.x] = static_cast<float>(threadIdx.x);
}

/// A static variable of a function keeps its value from launch to launch.
__global__ void count_launches(int* out) {
  static __device__ int launches = 0;
  *out = ++launches;
}

int main() {
  require(shared_value == 3, "a managed variable before the first kernel");
  Buffer<double> out(8);
  read_all<<<1, 1>>>(out.data());
  finish();
  require(out.download() == std::vector<double>({3, 17, 5, 6, 104, 3, 255, -9}), "initial values");

  shared_value = 4;
  change<<<1, 64>>>();
  finish();
  require(shared_value == 14, "a managed variable that both sides change");
  require(managed_array[63] == 63, "a managed array");
  int value = 0;
  check(cudaMemcpyFromSymbol(&value, counter, sizeof value));
  require(value == 5 + 64, "a device variable read by its symbol");

  const float replacement[2] = {10, 20};
  check(cudaMemcpyToSymbol(weights, replacement, sizeof replacement, sizeof(float)));
  value = 99;
  check(cudaMemcpyToSymbol(one_constant, &value, sizeof value));
  void* address = nullptr;
  check(cudaGetSymbolAddress(&address, counter));
  check(cudaMemset(address, 0, sizeof(int)));
  std::size_t size = 0;
  check(cudaGetSymbolSize(&size, matrix));
  require(size == sizeof(double) * 6, "the size of a symbol");
  read_all<<<1, 1>>>(out.data());
  finish();
  const auto values = out.download();
  require(values[0] == 20 && values[1] == 99 && values[2] == 0, "changed through symbols");

  Buffer<int> launches(1);
  for (int i = 0; i < 3; ++i) count_launches<<<1, 1>>>(launches.data());
  finish();
  require(launches.download()[0] == 3, "a static variable of a kernel");

  // Every device has its own.
  check(cudaSetDevice(1));
  check(cudaMemcpyFromSymbol(&value, counter, sizeof value));
  require(value == 5, "the variable of another device");
  return done();
}
