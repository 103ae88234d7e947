// The warp matrix interface of mma.h: f16, bf16, tf32, double and int8, row and column major, from
// global and from shared memory.
#include <mma.h>

#include "check.cuh"

using namespace nvcuda;

template <typename T, typename Sum, typename Layout, int kM, int kN, int kK, typename Element = T>
__global__ void product(const Element* a, const Element* b, Sum* d) {
  wmma::fragment<wmma::matrix_a, kM, kN, kK, T, wmma::row_major> fa;
  wmma::fragment<wmma::matrix_b, kM, kN, kK, T, Layout> fb;
  wmma::fragment<wmma::accumulator, kM, kN, kK, Sum> fd;
  constexpr bool kColumns = std::is_same_v<Layout, wmma::col_major>;
  __shared__ alignas(32) Element tile[kK * kN];
  for (int i = threadIdx.x; i < kK * kN; i += 32) tile[i] = b[i];
  __syncwarp();
  wmma::fill_fragment(fd, Sum(1));
  wmma::load_matrix_sync(fa, a, kK);
  wmma::load_matrix_sync(fb, tile, kColumns ? kK : kN);
  wmma::mma_sync(fd, fa, fb, fd);
  for (int i = 0; i < fd.num_elements; ++i) fd.x[i] = fd.x[i] * Sum(2);
  wmma::store_matrix_sync(d, fd, kN, wmma::mem_row_major);
}

template <typename T, typename Sum, typename Layout, int kM, int kN, int kK, typename Element = T>
void test(const char* what) {
  std::vector<Element> a(kM * kK);
  std::vector<Element> b(kK * kN);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = Element(sample(i));
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = Element(sample(i * 5 + 2));
  Buffer<Element> device_a(a);
  Buffer<Element> device_b(b);
  Buffer<Sum> device_d(kM * kN);
  product<T, Sum, Layout, kM, kN, kK, Element>
      <<<1, 32>>>(device_a.data(), device_b.data(), device_d.data());
  finish();
  const auto d = device_d.download();
  constexpr bool kColumns = std::is_same_v<Layout, wmma::col_major>;
  for (int i = 0; i < kM; ++i) {
    for (int j = 0; j < kN; ++j) {
      double sum = 1;
      for (int k = 0; k < kK; ++k) {
        sum += double(float(a[i * kK + k])) * double(float(b[kColumns ? j * kK + k : k * kN + j]));
      }
      require(double(float(d[i * kN + j])) == 2 * sum, what);
    }
  }
}

int main() {
  test<__half, float, wmma::col_major, 16, 16, 16>("f16, columns");
  test<__half, float, wmma::row_major, 16, 16, 16>("f16, rows");
  test<__half, float, wmma::row_major, 32, 8, 16>("f16, 32 x 8");
  test<__half, float, wmma::col_major, 8, 32, 16>("f16, 8 x 32");
  test<__nv_bfloat16, float, wmma::row_major, 16, 16, 16>("bf16");
  test<wmma::precision::tf32, float, wmma::col_major, 16, 16, 8, float>("tf32");
  test<double, double, wmma::col_major, 8, 8, 4>("f64");
  test<signed char, int, wmma::row_major, 16, 16, 16>("s8");
  return done();
}
