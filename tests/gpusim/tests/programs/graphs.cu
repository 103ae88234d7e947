// Graphs: by capture with forks and joins, replayed with changed inputs, built by hand, updated,
// and the mistakes that end a capture.
#include <atomic>

#include "check.cuh"

__global__ void add_one(int* x, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] += 1;
}
__global__ void combine(const int* a, const int* b, int* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = a[i] * 1000 + b[i];
}

std::atomic<int> host_calls{0};
void CUDART_CB count_call(void*) {
  ++host_calls;
}

void captured_fork_and_join() {
  constexpr int kCount = 100;
  cudaStream_t main_stream;
  cudaStream_t side;
  check(cudaStreamCreateWithFlags(&main_stream, cudaStreamNonBlocking));
  check(cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking));
  cudaEvent_t fork;
  cudaEvent_t join;
  check(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
  check(cudaEventCreateWithFlags(&join, cudaEventDisableTiming));
  Buffer<int> a(kCount);
  Buffer<int> b(kCount);
  Buffer<int> out(kCount);
  int* host = nullptr;
  check(cudaMallocHost(&host, kCount * sizeof(int)));
  a.zero();
  b.zero();
  check(cudaDeviceSynchronize());

  check(cudaStreamBeginCapture(main_stream, cudaStreamCaptureModeThreadLocal));
  check(cudaEventRecord(fork, main_stream));
  check(cudaStreamWaitEvent(side, fork));
  add_one<<<1, 128, 0, main_stream>>>(a.data(), kCount);
  add_one<<<1, 128, 0, side>>>(b.data(), kCount);
  add_one<<<1, 128, 0, side>>>(b.data(), kCount);
  check(cudaEventRecord(join, side));
  check(cudaStreamWaitEvent(main_stream, join));
  combine<<<1, 128, 0, main_stream>>>(a.data(), b.data(), out.data(), kCount);
  check(cudaMemcpyAsync(host, out.data(), out.bytes(), cudaMemcpyDeviceToHost, main_stream));
  check(cudaLaunchHostFunc(main_stream, count_call, nullptr));
  cudaStreamCaptureStatus status;
  check(cudaStreamIsCapturing(side, &status));
  require(status == cudaStreamCaptureStatusActive, "the forked stream captures too");
  cudaGraph_t graph;
  check(cudaStreamEndCapture(main_stream, &graph));
  require(host_calls == 0 && a.download()[0] == 0, "capturing runs nothing");

  std::size_t nodes = 0;
  check(cudaGraphGetNodes(graph, nullptr, &nodes));
  require(nodes == 6, "nodes of the graph");
  cudaGraphExec_t executable;
  check(cudaGraphInstantiate(&executable, graph, 0));
  check(cudaGraphDestroy(graph));
  for (int i = 1; i <= 3; ++i) {
    check(cudaGraphLaunch(executable, main_stream));
    check(cudaStreamSynchronize(main_stream));
    require(host[kCount - 1] == i * 1000 + 2 * i, "each replay goes on from the last");
    require(host_calls == i, "the host function runs once per replay");
  }
  check(cudaGraphExecDestroy(executable));
  check(cudaFreeHost(host));
  check(cudaEventDestroy(fork));
  check(cudaEventDestroy(join));
  check(cudaStreamDestroy(main_stream));
  check(cudaStreamDestroy(side));
}

void built_by_hand() {
  Buffer<int> x(10);
  int* data = x.data();
  int count = 10;
  cudaGraph_t graph;
  check(cudaGraphCreate(&graph, 0));
  cudaMemsetParams clear = {};
  clear.dst = data;
  clear.value = 0;
  clear.elementSize = 4;
  clear.width = 10;
  clear.height = 1;
  cudaGraphNode_t cleared;
  check(cudaGraphAddMemsetNode(&cleared, graph, nullptr, 0, &clear));
  void* arguments[] = {&data, &count};
  cudaKernelNodeParams launch = {};
  launch.func = reinterpret_cast<void*>(add_one);
  launch.gridDim = dim3(1);
  launch.blockDim = dim3(32);
  launch.kernelParams = arguments;
  cudaGraphNode_t first;
  cudaGraphNode_t second;
  check(cudaGraphAddKernelNode(&first, graph, &cleared, 1, &launch));
  check(cudaGraphAddKernelNode(&second, graph, &first, 1, &launch));
  cudaGraphExec_t executable;
  check(cudaGraphInstantiate(&executable, graph, 0));
  check(cudaGraphLaunch(executable, nullptr));
  check(cudaDeviceSynchronize());
  require(x.download()[9] == 2, "two kernels after a memset");
  count = 3;  // arguments were copied: this changes nothing before the update
  check(cudaGraphLaunch(executable, nullptr));
  check(cudaDeviceSynchronize());
  require(x.download()[9] == 2, "arguments are copied");
  check(cudaGraphExecKernelNodeSetParams(executable, second, &launch));
  check(cudaGraphLaunch(executable, nullptr));
  check(cudaDeviceSynchronize());
  require(x.download()[2] == 2 && x.download()[3] == 1, "the changed node uses new arguments");
  check(cudaGraphExecDestroy(executable));
  check(cudaGraphDestroy(graph));
}

void mistakes_end_a_capture() {
  cudaStream_t stream;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  Buffer<int> x(10);
  x.zero();
  check(cudaDeviceSynchronize());
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  add_one<<<1, 32, 0, stream>>>(x.data(), 10);
  expect_error(cudaStreamSynchronize(stream), cudaErrorStreamCaptureUnsupported);
  cudaGraph_t graph = nullptr;
  expect_error(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
  require(graph == nullptr, "no graph of a failed capture");
  cudaGetLastError();
  add_one<<<1, 32, 0, stream>>>(x.data(), 10);
  check(cudaStreamSynchronize(stream));
  require(x.download()[0] == 1, "the stream works again");
  check(cudaStreamDestroy(stream));
}

int main() {
  captured_fork_and_join();
  built_by_hand();
  mistakes_end_a_capture();
  return done();
}
