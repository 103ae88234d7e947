// nvcc: -lcublas -lcublasLt
// Linked with the real cuBLAS and cuBLASLt, run with the simulated ones: kernels and products in
// one captured stream, handed from one to the other, with a fused epilogue checked by a kernel.
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_bf16.h>

#include <cstdint>
#include <source_location>

#include "check.cuh"

void check(cublasStatus_t status, std::source_location where = std::source_location::current()) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    fail("cuBLAS error: ", cublasGetStatusString(status), where);
  }
}

__global__ void fill(float* x, int n, float step) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] = static_cast<float>(i % 13 - 6) * step;
}

__global__ void round_to_bf16(const float* x, __nv_bfloat16* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = __float2bfloat16(x[i]);
}

/// pre and y of one element by one thread, from columns of W^T and x.
__global__ void reference(const __nv_bfloat16* w, const __nv_bfloat16* x, const __nv_bfloat16* bias,
                          float* y, float* pre, int m, int n, int k) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const int j = blockIdx.y;
  if (i >= m) return;
  float sum = __bfloat162float(bias[i]);
  for (int p = 0; p < k; ++p) {
    sum += __bfloat162float(w[i * k + p]) * __bfloat162float(x[j * k + p]);
  }
  pre[j * m + i] = sum;
  const float u = 0.7978845608F * (sum + 0.044715F * sum * sum * sum);
  y[j * m + i] = 0.5F * sum * (1.0F + tanhf(u));
}

template <typename T>
void set(cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t attribute, T value) {
  check(cublasLtMatmulDescSetAttribute(description, attribute, &value, sizeof value));
}

/// y = gelu(W x + bias) through an epilogue, against a kernel.
void test_epilogue(cudaStream_t stream) {
  constexpr int m = 64, n = 40, k = 48;
  Buffer<float> w32(m * k), x32(k * n), bias32(m), y_expected(m * n), pre_expected(m * n);
  Buffer<__nv_bfloat16> w(m * k), x(k * n), bias(m), y(m * n), pre(m * n);
  const auto make = [&](Buffer<float>& from, Buffer<__nv_bfloat16>& to, int count, float step) {
    fill<<<(count + 127) / 128, 128, 0, stream>>>(from.data(), count, step);
    round_to_bf16<<<(count + 127) / 128, 128, 0, stream>>>(from.data(), to.data(), count);
  };
  make(w32, w, m * k, 1.0F / 64);
  make(x32, x, k * n, 0.25F);
  make(bias32, bias, m, 0.125F);

  cublasLtHandle_t handle;
  cublasLtMatmulDesc_t description;
  cublasLtMatrixLayout_t layout_w, layout_x, layout_y;
  cublasLtMatmulPreference_t preference;
  check(cublasLtCreate(&handle));
  check(cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  set(description, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  set(description, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_GELU_AUX_BIAS);
  set(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.data());
  set(description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, pre.data());
  set(description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{m});
  check(cublasLtMatrixLayoutCreate(&layout_w, CUDA_R_16BF, k, m, k));
  check(cublasLtMatrixLayoutCreate(&layout_x, CUDA_R_16BF, k, n, k));
  check(cublasLtMatrixLayoutCreate(&layout_y, CUDA_R_16BF, m, n, m));
  check(cublasLtMatmulPreferenceCreate(&preference));
  cublasLtMatmulHeuristicResult_t found;
  int count = 0;
  check(cublasLtMatmulAlgoGetHeuristic(handle, description, layout_w, layout_x, layout_y, layout_y,
                                       preference, 1, &found, &count));
  require(count == 1, "an algorithm");
  const float one = 1, zero = 0;
  check(cublasLtMatmul(handle, description, &one, w.data(), layout_w, x.data(), layout_x, &zero,
                       y.data(), layout_y, y.data(), layout_y, &found.algo, nullptr, 0, stream));
  reference<<<dim3((m + 31) / 32, n), 32, 0, stream>>>(
      w.data(), x.data(), bias.data(), y_expected.data(), pre_expected.data(), m, n, k);
  check(cudaStreamSynchronize(stream));
  const auto found_y = y.download(), found_pre = pre.download();
  const auto expected_y = y_expected.download(), expected_pre = pre_expected.download();
  for (int i = 0; i < m * n; ++i) {
    const float tolerance = 0.005F * (1 + std::abs(expected_pre[i]));
    require_close(__bfloat162float(found_pre[i]), expected_pre[i], tolerance, "the argument");
    require_close(__bfloat162float(found_y[i]), expected_y[i], tolerance, "gelu");
  }
  check(cublasLtMatmulPreferenceDestroy(preference));
  for (const auto layout : {layout_w, layout_x, layout_y}) {
    check(cublasLtMatrixLayoutDestroy(layout));
  }
  check(cublasLtMatmulDescDestroy(description));
  check(cublasLtDestroy(handle));
}

/// Power iteration, captured once and replayed: a kernel and two library calls per step.
__global__ void normalise(const float* norm, float* x, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] /= *norm;
}

void test_capture(cudaStream_t stream) {
  constexpr int n = 50;
  std::vector<float> values(n * n, 0.0F);
  for (int i = 0; i < n; ++i) values[i * n + i] = i == 7 ? 5.0F : 1.0F + i * 0.01F;
  Buffer<float> matrix(values), norm(1), x(std::vector<float>(n, 1.0F)), y(n);
  cublasHandle_t handle;
  check(cublasCreate(&handle));
  check(cublasSetStream(handle, stream));
  check(cudaDeviceSynchronize());
  const float one = 1, zero = 0;
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  check(cublasSgemv(handle, CUBLAS_OP_N, n, n, &one, matrix.data(), n, x.data(), 1, &zero, y.data(),
                    1));
  check(cublasSetPointerMode(handle, CUBLAS_POINTER_MODE_DEVICE));
  check(cublasSnrm2(handle, n, y.data(), 1, norm.data()));
  normalise<<<(n + 31) / 32, 32, 0, stream>>>(norm.data(), y.data(), n);
  check(cudaMemcpyAsync(x.data(), y.data(), y.bytes(), cudaMemcpyDeviceToDevice, stream));
  check(cudaStreamEndCapture(stream, &graph));
  check(cudaGraphInstantiate(&executable, graph, 0));
  for (int step = 0; step < 20; ++step) check(cudaGraphLaunch(executable, stream));
  check(cudaStreamSynchronize(stream));
  require_close(norm.download()[0], 5, 1e-4, "the greatest eigenvalue");
  require_close(x.download()[7], 1, 1e-4, "its eigenvector");
  check(cudaGraphExecDestroy(executable));
  check(cudaGraphDestroy(graph));
  check(cublasDestroy(handle));
}

int main() {
  cudaStream_t stream;
  check(cudaStreamCreate(&stream));
  test_epilogue(stream);
  test_capture(stream);
  check(cudaStreamDestroy(stream));
  return done();
}
