// Calls: device functions that are not inlined, function pointers in tables, virtual functions,
// recursion, structures by value, local arrays, and allocation on the device.
#include "check.cuh"

struct Big {
  char tag;
  short small;
  double number;
  float vector[3];
};

__device__ __noinline__ Big twice(Big value) {
  value.number *= 2;
  for (float& element : value.vector) element *= 2;
  value.tag = static_cast<char>(value.tag + 1);
  return value;
}

__device__ __noinline__ int fibonacci(int n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

__device__ bool is_odd(unsigned n);
__device__ __noinline__ bool is_even(unsigned n) {
  return n == 0 || is_odd(n - 1);
}
__device__ __noinline__ bool is_odd(unsigned n) {
  return n != 0 && is_even(n - 1);
}

__device__ float plus(float a, float b) {
  return a + b;
}
__device__ float minus(float a, float b) {
  return a - b;
}
__device__ float times(float a, float b) {
  return a * b;
}
using Operation = float (*)(float, float);
__device__ Operation operations[3] = {plus, minus, times};

struct Shape {
  __device__ virtual ~Shape() {}
  __device__ virtual float area() const = 0;
  __device__ virtual int corners() const { return 0; }
};
struct Square : Shape {
  __device__ explicit Square(float s) : side(s) {}
  __device__ float area() const override { return side * side; }
  __device__ int corners() const override { return 4; }
  float side;
};
struct Circle : Shape {
  __device__ explicit Circle(float r) : radius(r) {}
  __device__ float area() const override { return 3 * radius * radius; }
  float radius;
};

__global__ void by_value(Big value, Big* out) {
  out[threadIdx.x] = twice(value);
}

__global__ void recursive(int* out) {
  const int n = threadIdx.x % 12;
  out[threadIdx.x] = fibonacci(n) * 2 + (is_even(threadIdx.x) ? 1 : 0);
}

__global__ void through_pointers(const float* in, float* out) {
  const int i = threadIdx.x;
  const Operation chosen = operations[i % 3];
  out[i] = chosen(in[i], 2.0F);
}

__global__ void virtual_calls(float* out) {
  const int i = threadIdx.x;
  const float size = static_cast<float>(i);
  Shape* shape = i % 2 == 0 ? static_cast<Shape*>(new Square(size)) : new Circle(size);
  out[i] = shape->area() + static_cast<float>(shape->corners());
  delete shape;
}

/// An array in local memory that is indexed at run time, by thread-dependent indices.
__global__ void local_array(int* out, int n) {
  int histogram[8] = {};
  for (int i = 0; i < n; ++i) ++histogram[(i * (threadIdx.x + 1)) % 8];
  int* pointer = &histogram[threadIdx.x % 8];
  out[threadIdx.x] = *pointer * 100 + histogram[n % 8];
}

__global__ void heap(int* out) {
  int* memory = static_cast<int*>(malloc(sizeof(int) * (threadIdx.x + 1)));
  if (memory == nullptr) return;
  for (unsigned i = 0; i <= threadIdx.x; ++i) memory[i] = static_cast<int>(i);
  int sum = 0;
  for (unsigned i = 0; i <= threadIdx.x; ++i) sum += memory[i];
  out[threadIdx.x] = sum;
  free(memory);
}

__global__ void choose(int* out) {
  const int i = threadIdx.x;
  switch (i % 9) {
    case 0:
      out[i] = i + 5;
      break;
    case 1:
      out[i] = i * 3;
      break;
    case 2:
      out[i] = i ^ 77;
      break;
    case 3:
      out[i] = -i;
      break;
    case 4:
      out[i] = i / 3;
      break;
    case 5:
      out[i] = i % 5;
      break;
    case 6:
      out[i] = i << 2;
      break;
    default:
      out[i] = 1000;
  }
}

int host_fibonacci(int n) {
  return n < 2 ? n : host_fibonacci(n - 1) + host_fibonacci(n - 2);
}

int main() {
  const Big big{'a', 7, 1.5, {1, 2, 3}};
  Buffer<Big> bigs(33);
  by_value<<<1, 33>>>(big, bigs.data());
  finish();
  const Big result = bigs.download()[32];
  require(result.tag == 'b' && result.small == 7 && result.number == 3 && result.vector[2] == 6,
          "a structure that went by value and came back");

  Buffer<int> ints(64);
  recursive<<<1, 64>>>(ints.data());
  finish();
  auto found = ints.download();
  for (int i = 0; i < 64; ++i) {
    require(found[i] == host_fibonacci(i % 12) * 2 + (i % 2 == 0 ? 1 : 0), "recursion");
  }

  Buffer<float> in(samples<float>(64));
  Buffer<float> out(64);
  through_pointers<<<1, 64>>>(in.data(), out.data());
  finish();
  const auto floats = out.download();
  for (int i = 0; i < 64; ++i) {
    const float x = sample(i);
    require(floats[i] == (i % 3 == 0 ? x + 2 : i % 3 == 1 ? x - 2 : x * 2), "function pointers");
  }

  virtual_calls<<<1, 64>>>(out.data());
  finish();
  require(out.download()[6] == 40 && out.download()[5] == 75, "virtual functions");

  local_array<<<1, 64>>>(ints.data(), 100);
  finish();
  found = ints.download();
  require(found[0] == 13 * 100 + 12, "an array in local memory");

  heap<<<2, 32>>>(ints.data());
  finish();
  require(ints.download()[31] == 31 * 32 / 2, "memory from the device's heap");

  choose<<<1, 64>>>(ints.data());
  finish();
  found = ints.download();
  require(found[18] == 23 && found[10] == 30 && found[20] == (20 ^ 77) && found[12] == -12 &&
              found[13] == 4 && found[14] == 4 && found[15] == 60 && found[16] == 1000,
          "switch");
  return done();
}
