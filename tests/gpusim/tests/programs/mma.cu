// Tensor-core products through inline PTX: mma.sync for f16, bf16 and tf32, fed by ldmatrix from
// shared memory that cp.async filled.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "check.cuh"

__device__ std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ void copy_async(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n" ::"r"(shared_address(shared)),
               "l"(global));
}

__device__ void load_matrix_x4(std::uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row)));
}

__device__ void load_matrix_x2_transposed(std::uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];\n"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row)));
}

template <typename T>
__device__ void multiply(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  if constexpr (std::is_same_v<T, __half>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};\n"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};\n"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
}

/// d (16 x 8) = a (16 x 32, rows) * b (32 x 8, rows), one warp.
template <typename T>
__global__ void product(const T* a, const T* b, float* d) {
  __shared__ alignas(16) T tile_a[16][32 + 8];  // 8 of padding keep ldmatrix off bank conflicts
  __shared__ alignas(16) T tile_b[32][8];
  const int lane = threadIdx.x;
  for (int i = lane; i < 16 * 4; i += 32) copy_async(&tile_a[i / 4][i % 4 * 8], a + i * 8);
  copy_async(&tile_b[lane][0], b + lane * 8);
  asm volatile("cp.async.commit_group;\n");
  asm volatile("cp.async.wait_group 0;\n");
  __syncwarp();
  float sum[4] = {};
  for (int k = 0; k < 32; k += 16) {
    std::uint32_t fragment_a[4];
    std::uint32_t fragment_b[2];
    load_matrix_x4(fragment_a, &tile_a[lane % 16][k + lane / 16 * 8]);
    load_matrix_x2_transposed(fragment_b, &tile_b[k + lane % 16][0]);
    multiply<T>(sum, fragment_a, fragment_b);
  }
  const int row = lane / 4;
  const int column = lane % 4 * 2;
  d[row * 8 + column] = sum[0];
  d[row * 8 + column + 1] = sum[1];
  d[(row + 8) * 8 + column] = sum[2];
  d[(row + 8) * 8 + column + 1] = sum[3];
}

/// d (16 x 8) = a (16 x 8) * b (8 x 8) in tf32, elements placed by hand.
__global__ void product_tf32(const float* a, const float* b, float* d) {
  const int lane = threadIdx.x;
  const int row = lane / 4;
  const int k = lane % 4;
  auto rounded = [](float x) {
    std::uint32_t bits = 0;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
  };
  const std::uint32_t fa[4] = {rounded(a[row * 8 + k]), rounded(a[(row + 8) * 8 + k]),
                               rounded(a[row * 8 + k + 4]), rounded(a[(row + 8) * 8 + k + 4])};
  const std::uint32_t fb[2] = {rounded(b[k * 8 + row]), rounded(b[(k + 4) * 8 + row])};
  float sum[4] = {1, 1, 1, 1};
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};\n"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
  const int column = k * 2;
  d[row * 8 + column] = sum[0];
  d[row * 8 + column + 1] = sum[1];
  d[(row + 8) * 8 + column] = sum[2];
  d[(row + 8) * 8 + column + 1] = sum[3];
}

template <typename T>
void test() {
  std::vector<T> a(16 * 32);
  std::vector<T> b(32 * 8);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = T(sample(i));
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = T(sample(i * 3 + 1));
  Buffer<T> device_a(a);
  Buffer<T> device_b(b);
  Buffer<float> device_d(16 * 8);
  product<T><<<1, 32>>>(device_a.data(), device_b.data(), device_d.data());
  finish();
  const auto d = device_d.download();
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      float sum = 0;
      for (int k = 0; k < 32; ++k) sum += float(a[i * 32 + k]) * float(b[k * 8 + j]);
      require(d[i * 8 + j] == sum, "small integers multiply exactly");
    }
  }
}

/// The source size of cp.async: the rest of the 16 bytes is filled with zero.
__global__ void copy_part(const float* in, float* out) {
  __shared__ alignas(16) float tile[4];
  for (float& x : tile) x = -1;
  const int bytes = 8;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(tile)),
               "l"(in), "r"(bytes));
  asm volatile("cp.async.wait_all;\n");
  for (int i = 0; i < 4; ++i) out[i] = tile[i];
}

int main() {
  test<__half>();
  test<__nv_bfloat16>();
  const auto a = samples<float>(16 * 8);
  const auto b = samples<float>(8 * 8);
  Buffer<float> device_a(a);
  Buffer<float> device_b(b);
  Buffer<float> device_d(16 * 8);
  product_tf32<<<1, 32>>>(device_a.data(), device_b.data(), device_d.data());
  finish();
  const auto d = device_d.download();
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      float sum = 1;
      for (int k = 0; k < 8; ++k) sum += a[i * 8 + k] * b[k * 8 + j];
      require(d[i * 8 + j] == sum, "a product in tf32");
    }
  }
  copy_part<<<1, 1>>>(device_a.data(), device_d.data());
  finish();
  const auto part = device_d.download();
  require(part[1] == a[1] && part[2] == 0 && part[3] == 0, "a short cp.async fills with zero");
  return done();
}
