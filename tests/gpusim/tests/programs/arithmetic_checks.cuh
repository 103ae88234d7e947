// Arithmetic on the device against the same on the host: bits where the result is exactly rounded,
// tolerances where the documentation gives ulps.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>

#include "check.cuh"

constexpr int kOperations = 12;

inline __host__ __device__ std::uint32_t bits_of(float x) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(x);
#else
  return std::bit_cast<std::uint32_t>(x);
#endif
}

/// Exactly rounded: the same bits on every machine that follows IEEE 754.
__global__ void exact_floats(const float* a, const float* b, std::uint32_t* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  std::uint32_t* row = out + i * kOperations;
  const float x = a[i];
  const float y = b[i];
  row[0] = bits_of(__fadd_rn(x, y));
  row[1] = bits_of(__fmul_rn(x, y));
  row[2] = bits_of(__fmaf_rn(x, y, 1.5F));
  row[3] = bits_of(__fdiv_rn(x, y));
  row[4] = bits_of(__fsqrt_rn(x));
  row[5] = bits_of(fminf(x, y));
  row[6] = bits_of(fmaxf(x, y));
  row[7] = bits_of(floorf(x));
  row[8] = bits_of(rintf(x));
  row[9] = static_cast<std::uint32_t>(static_cast<int>(x));
  row[10] = (x < y ? 1 : 0) + (x == y ? 2 : 0) + (x != y ? 4 : 0) + (!(x >= y) ? 8 : 0) +
            (isnan(x) ? 16 : 0);
  row[11] = bits_of(truncf(y));
}

inline int saturated_int(float x) {
  if (std::isnan(x)) return 0;
  if (x >= 2147483648.0F) return std::numeric_limits<int>::max();
  if (x <= -2147483648.0F) return std::numeric_limits<int>::min();
  return static_cast<int>(x);
}

inline void test_exact_floats() {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> interesting{0.F,       -0.F,  1.F,        -1.F,   1.5F,   -2.5F,
                                       3.F,       1e-3F, 1e30F,      -1e30F, 1e-40F, infinity,
                                       -infinity, NAN,   16777217.F, 0.1F,   -7.7F,  3e9F};
  std::vector<float> a;
  std::vector<float> b;
  for (const float x : interesting) {
    for (const float y : interesting) {
      a.push_back(x);
      b.push_back(y);
    }
  }
  const int n = static_cast<int>(a.size());
  Buffer<float> device_a(a);
  Buffer<float> device_b(b);
  Buffer<std::uint32_t> out(n * kOperations);
  exact_floats<<<(n + 63) / 64, 64>>>(device_a.data(), device_b.data(), out.data(), n);
  finish();
  const auto found = out.download();
  for (int i = 0; i < n; ++i) {
    const std::uint32_t* row = &found[i * kOperations];
    volatile float x = a[i];
    volatile float y = b[i];
    const float expected[] = {x + y,           x * y,         std::fma(x, y, 1.5F),
                              x / y,           std::sqrt(x),  std::fmin(x, y),
                              std::fmax(x, y), std::floor(x), std::rint(x)};
    for (int op = 0; op < 9; ++op) {
      const float result = std::bit_cast<float>(row[op]);
      // The sign of a zero that min or max returns is not specified.
      const bool same =
          op == 5 || op == 6 ? result == expected[op] : row[op] == bits_of(expected[op]);
      if (same || (std::isnan(result) && std::isnan(expected[op]))) continue;
      std::fprintf(stderr, "operation %d of %a and %a: found %a, expected %a\n", op, a[i], b[i],
                   result, expected[op]);
      fail("an exactly rounded result", "", std::source_location::current());
    }
    require(static_cast<int>(row[9]) == saturated_int(x), "conversion to int saturates");
    const unsigned compared = (x < y ? 1 : 0) + (x == y ? 2 : 0) + (x != y ? 4 : 0) +
                              (!(x >= y) ? 8 : 0) + (std::isnan(x) ? 16 : 0);
    require(row[10] == compared, "comparisons");
  }
}

__global__ void integers(const int* a, const int* b, long long* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const int x = a[i];
  const int y = b[i];
  const unsigned ux = static_cast<unsigned>(x);
  const unsigned uy = static_cast<unsigned>(y);
  const long long wide = static_cast<long long>(x) << 20 ^ y;
  long long* row = out + i * 16;
  row[0] = static_cast<int>(ux * uy);
  row[1] = __mulhi(x, y);
  row[2] = __umulhi(ux, uy);
  row[3] = y == 0 ? 0 : static_cast<long long>(x) / y;
  row[4] = y == 0 ? 0 : ux / uy;
  row[5] = y == 0 ? 0 : wide % y;
  row[6] = __clz(x) + 100 * __popc(y) + 10000 * __ffs(x);
  row[7] = __brev(ux);
  row[8] = __byte_perm(ux, uy, 0x6172);
  row[9] = __funnelshift_l(ux, uy, y);
  row[10] = __mul64hi(wide, wide * 3 + 1);
  row[11] = __clzll(wide) + 100 * __popcll(wide);
  row[12] = static_cast<long long>(ux) << (y & 63) | x >> (y & 31);
  row[13] = __sad(x, y, 5U);
  row[14] = __dp4a(x, y, 7);
  row[15] = abs(x) + min(x, y) + max(ux, uy);
}

inline void test_integers() {
  const std::vector<int> interesting{0,
                                     1,
                                     -1,
                                     2,
                                     7,
                                     -13,
                                     31,
                                     32,
                                     33,
                                     255,
                                     65536,
                                     0x7fffffff,
                                     static_cast<int>(0x80000000),
                                     123456789,
                                     -987654321};
  std::vector<int> a;
  std::vector<int> b;
  for (const int x : interesting) {
    for (const int y : interesting) {
      if (x == static_cast<int>(0x80000000) && y == -1) continue;
      a.push_back(x);
      b.push_back(y);
    }
  }
  const int n = static_cast<int>(a.size());
  Buffer<int> device_a(a);
  Buffer<int> device_b(b);
  Buffer<long long> out(n * 16);
  integers<<<(n + 63) / 64, 64>>>(device_a.data(), device_b.data(), out.data(), n);
  finish();
  const auto found = out.download();
  for (int i = 0; i < n; ++i) {
    const long long* row = &found[i * 16];
    const long long x = a[i];
    const long long y = b[i];
    const auto ux = static_cast<std::uint32_t>(a[i]);
    const auto uy = static_cast<std::uint32_t>(b[i]);
    const auto wide =
        static_cast<long long>(static_cast<std::uint64_t>(x) << 20 ^ static_cast<std::uint64_t>(y));
    require(row[0] == static_cast<int>(ux * uy), "low product");
    require(row[1] == (x * y) >> 32, "high product");
    require(row[2] == static_cast<long long>(std::uint64_t{ux} * uy >> 32), "unsigned product");
    if (y != 0) {
      require(row[3] == x / y, "quotient");
      require(row[4] == ux / uy, "unsigned quotient");
      require(row[5] == wide % y, "64-bit remainder");
    }
    require(row[6] == std::countl_zero(ux) + 100 * std::popcount(uy) +
                          10000 * (ux == 0 ? 0 : std::countr_zero(ux) + 1),
            "counts of bits");
    const std::uint64_t both = std::uint64_t{uy} << 32 | ux;
    std::uint32_t reversed = 0;
    for (int bit = 0; bit < 32; ++bit) reversed |= (ux >> bit & 1) << (31 - bit);
    require(row[7] == reversed, "reversed bits");
    auto byte = [&](int index) { return static_cast<std::uint32_t>(both >> (8 * index) & 255); };
    require(row[8] == (byte(6) << 24 | byte(1) << 16 | byte(7) << 8 | byte(2)), "permuted bytes");
    const unsigned shift = uy & 31;
    require(row[9] == static_cast<std::uint32_t>(both << shift >> 32), "funnel shift");
    const auto other = static_cast<long long>(static_cast<std::uint64_t>(wide) * 3 + 1);
    require(row[10] == static_cast<long long>(static_cast<__int128>(wide) * other >> 64),
            "high half of a 128-bit product");
    require(row[11] == std::countl_zero(static_cast<std::uint64_t>(wide)) +
                           100 * std::popcount(static_cast<std::uint64_t>(wide)),
            "counts of 64 bits");
    require(row[12] == (static_cast<long long>(std::uint64_t{ux} << (y & 63)) | x >> (y & 31)),
            "shifts");
    require(row[13] == static_cast<std::uint32_t>(std::abs(x - y) + 5), "sum of differences");
    int dot = 7;
    for (int k = 0; k < 4; ++k) {
      dot += static_cast<std::int8_t>(ux >> (8 * k)) * static_cast<std::int8_t>(uy >> (8 * k));
    }
    require(row[14] == dot, "dot product of bytes");
  }
}

__global__ void functions_of(const double* in, double* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const double x = in[i];
  const auto f = static_cast<float>(x);
  double* row = out + i * 16;
  row[0] = sin(x);
  row[1] = cos(x);
  row[2] = exp(x / 16);
  row[3] = log(fabs(x) + 0.5);
  row[4] = tanh(x);
  row[5] = pow(fabs(x) + 0.1, 1.7);
  row[6] = erf(x);
  row[7] = sqrt(fabs(x));
  row[8] = sinf(f);
  row[9] = cosf(f);
  row[10] = expf(f / 16);
  row[11] = logf(fabsf(f) + 0.5F);
  row[12] = tanhf(f);
  row[13] = powf(fabsf(f) + 0.1F, 1.7F);
  row[14] = erff(f);
  row[15] = rsqrtf(fabsf(f) + 0.5F);
}

inline void test_functions(double tolerance_of_floats) {
  std::vector<double> in;
  for (double x = -50; x < 50; x += 0.37) in.push_back(x);
  in.push_back(1e6);
  const int n = static_cast<int>(in.size());
  Buffer<double> device_in(in);
  Buffer<double> out(n * 16);
  functions_of<<<(n + 63) / 64, 64>>>(device_in.data(), out.data(), n);
  finish();
  const auto found = out.download();
  for (int i = 0; i < n; ++i) {
    const double x = in[i];
    const double f = static_cast<float>(x);
    if (tolerance_of_floats > 1e-5 && std::abs(x) > 1e3) continue;
    const double expected[] = {std::sin(x),      std::cos(x),
                               std::exp(x / 16), std::log(std::abs(x) + 0.5),
                               std::tanh(x),     std::pow(std::abs(x) + 0.1, 1.7),
                               std::erf(x),      std::sqrt(std::abs(x)),
                               std::sin(f),      std::cos(f),
                               std::exp(f / 16), std::log(std::abs(f) + 0.5),
                               std::tanh(f),     std::pow(std::abs(f) + 0.1, 1.7),
                               std::erf(f),      1 / std::sqrt(std::abs(f) + 0.5)};
    for (int op = 0; op < 16; ++op) {
      if (std::isinf(expected[op]) && found[i * 16 + op] == expected[op]) continue;
      const double scale = std::max(1.0, std::abs(expected[op]));
      require_close(found[i * 16 + op], expected[op],
                    scale * (op < 8 ? 1e-14 : tolerance_of_floats), "a function of the library");
    }
  }
}

__global__ void halves(const float* in, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const __half h = __float2half(in[i]);
  const __nv_bfloat16 b = __float2bfloat16(in[i]);
  float* row = out + i * 8;
  row[0] = __half2float(h);
  row[1] = __bfloat162float(b);
  row[2] = __half2float(__hadd(h, __float2half(0.25F)));
  row[3] = __half2float(__hfma(h, h, h));
  row[4] = __bfloat162float(__hmul(b, b));
  const __half2 pair = __hmul2(__halves2half2(h, __hneg(h)), __float2half2_rn(2.0F));
  row[5] = __low2float(pair) - __high2float(pair);
  const __nv_bfloat162 bpair = __hmax2(__halves2bfloat162(b, b), __float2bfloat162_rn(0.5F));
  row[6] = __low2float(bpair);
  row[7] = __hlt(h, __float2half(0.0F)) ? 1.0F : 0.0F;
}

inline float to_bfloat16(float x) {
  auto bits = bits_of(x);
  bits += 0x7fff + (bits >> 16 & 1);
  return std::bit_cast<float>(bits & 0xffff0000);
}

inline void test_halves() {
  std::vector<float> in;
  for (int i = 0; i < 200; ++i) in.push_back(static_cast<float>(i - 100) * 0.173F);
  Buffer<float> device_in(in);
  Buffer<float> out(in.size() * 8);
  halves<<<4, 64>>>(device_in.data(), out.data(), static_cast<int>(in.size()));
  finish();
  const auto found = out.download();
  for (std::size_t i = 0; i < in.size(); ++i) {
    const float* row = &found[i * 8];
    const float h = __half2float(__float2half(in[i]));
    const float b = to_bfloat16(in[i]);
    require(row[0] == h && row[1] == b, "rounding to 16 bits");
    require(row[2] == __half2float(__float2half(h + 0.25F)), "sum of halves");
    require(row[3] == __half2float(__float2half(std::fma(h, h, h))), "fma of halves");
    require(row[4] == to_bfloat16(b * b), "product in bfloat16");
    require(row[5] == 4 * h, "pairs of halves");
    require(row[6] == std::max(b, 0.5F), "pairs of bfloat16");
    require(row[7] == (h < 0 ? 1.0F : 0.0F), "comparison of halves");
  }
}
