// Transposition through shared memory, with and without padding, two-dimensional blocks, and
// vectors of 16 bytes.
#include "check.cuh"

template <int kPadding>
__global__ void transpose(const float* in, float* out, int rows, int columns) {
  __shared__ float tile[32][32 + kPadding];
  int x = blockIdx.x * 32 + threadIdx.x;
  int y = blockIdx.y * 32 + threadIdx.y;
  for (int i = 0; i < 32; i += blockDim.y) {
    if (x < columns && y + i < rows) tile[threadIdx.y + i][threadIdx.x] = in[(y + i) * columns + x];
  }
  __syncthreads();
  x = blockIdx.y * 32 + threadIdx.x;
  y = blockIdx.x * 32 + threadIdx.y;
  for (int i = 0; i < 32; i += blockDim.y) {
    if (x < rows && y + i < columns) out[(y + i) * rows + x] = tile[threadIdx.x][threadIdx.y + i];
  }
}

__global__ void transpose_quads(const float4* in, float4* out, int quads) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= quads) return;
  const float4 rows[4] = {in[i * 4], in[i * 4 + 1], in[i * 4 + 2], in[i * 4 + 3]};
  out[i * 4 + 0] = make_float4(rows[0].x, rows[1].x, rows[2].x, rows[3].x);
  out[i * 4 + 1] = make_float4(rows[0].y, rows[1].y, rows[2].y, rows[3].y);
  out[i * 4 + 2] = make_float4(rows[0].z, rows[1].z, rows[2].z, rows[3].z);
  out[i * 4 + 3] = make_float4(rows[0].w, rows[1].w, rows[2].w, rows[3].w);
}

int main() {
  for (const auto& [rows, columns] : {std::pair{32, 32}, std::pair{70, 33}, std::pair{1, 100}}) {
    const auto values = samples<float>(rows * columns);
    Buffer<float> in(values);
    for (const bool padded : {false, true}) {
      Buffer<float> out(rows * columns);
      const dim3 grid((columns + 31) / 32, (rows + 31) / 32);
      if (padded) {
        transpose<1><<<grid, dim3(32, 8)>>>(in.data(), out.data(), rows, columns);
      } else {
        transpose<0><<<grid, dim3(32, 8)>>>(in.data(), out.data(), rows, columns);
      }
      finish();
      const auto result = out.download();
      for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < columns; ++c) {
          require(result[c * rows + r] == values[r * columns + c], "transposed");
        }
      }
    }
  }
  constexpr int kQuads = 100;
  std::vector<float4> quads(kQuads * 4);
  for (int i = 0; i < kQuads * 4; ++i) {
    quads[i] = make_float4(i * 4.F, i * 4 + 1.F, i * 4 + 2.F, i * 4 + 3.F);
  }
  Buffer<float4> in(quads);
  Buffer<float4> out(quads.size());
  transpose_quads<<<2, 64>>>(in.data(), out.data(), kQuads);
  finish();
  const auto result = out.download();
  require(result[1].x == quads[0].y && result[6].w == quads[7].z, "4x4 transposed");
  return done();
}
