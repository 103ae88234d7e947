// Streams and events: order within and between streams, callbacks, queries, priorities, the default
// stream, and asynchronous copies.
#include <atomic>
#include <thread>

#include "check.cuh"

__global__ void append(int* list, int value) {
  if (threadIdx.x == 0) list[1 + list[0]++] = value;
}

__global__ void spin_until(volatile int* flag, int* out) {
  while (*flag == 0) __nanosleep(200);
  *out = 7;
}

std::atomic<int> called{0};
void CUDART_CB on_host(void* data) {
  called += *static_cast<int*>(data);
}
void CUDART_CB on_stream(cudaStream_t, cudaError_t status, void* data) {
  if (status == cudaSuccess) called += *static_cast<int*>(data);
}

void order_within_a_stream() {
  cudaStream_t stream;
  check(cudaStreamCreate(&stream));
  Buffer<int> list(101);
  check(cudaMemsetAsync(list.data(), 0, list.bytes(), stream));
  for (int i = 0; i < 100; ++i) append<<<1, 32, 0, stream>>>(list.data(), i);
  check(cudaStreamSynchronize(stream));
  const auto values = list.download();
  require(values[0] == 100, "all ran");
  for (int i = 0; i < 100; ++i) require(values[1 + i] == i, "kernels of a stream run in order");
  check(cudaStreamDestroy(stream));
}

void order_between_streams() {
  cudaStream_t first;
  cudaStream_t second;
  check(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking));
  check(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
  cudaEvent_t event;
  cudaEvent_t back;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  check(cudaEventCreateWithFlags(&back, cudaEventDisableTiming));
  Buffer<int> list(101);
  check(cudaMemsetAsync(list.data(), 0, list.bytes(), first));
  for (int i = 0; i < 20; ++i) {
    append<<<1, 1, 0, first>>>(list.data(), 2 * i);
    check(cudaEventRecord(event, first));
    check(cudaStreamWaitEvent(second, event));
    append<<<1, 1, 0, second>>>(list.data(), 2 * i + 1);
    check(cudaEventRecord(back, second));
    check(cudaStreamWaitEvent(first, back));
  }
  check(cudaDeviceSynchronize());
  const auto values = list.download();
  for (int i = 0; i < 40; ++i) require(values[1 + i] == i, "events order streams");
  check(cudaEventDestroy(event));
  check(cudaEventDestroy(back));
  check(cudaStreamDestroy(first));
  check(cudaStreamDestroy(second));
}

/// A kernel in one stream waits for another stream's copy: both make progress.
void progress_of_all_streams() {
  cudaStream_t waiting;
  cudaStream_t copying;
  check(cudaStreamCreateWithFlags(&waiting, cudaStreamNonBlocking));
  check(cudaStreamCreateWithFlags(&copying, cudaStreamNonBlocking));
  int* flag = nullptr;
  check(cudaMallocHost(&flag, sizeof(int)));
  *flag = 0;
  Buffer<int> out(1);
  cudaEvent_t event;
  check(cudaEventCreate(&event));
  spin_until<<<1, 1, 0, waiting>>>(flag, out.data());
  check(cudaEventRecord(event, waiting));
  expect_error(cudaStreamQuery(waiting), cudaErrorNotReady);
  expect_error(cudaEventQuery(event), cudaErrorNotReady);
  cudaGetLastError();
  check(cudaStreamQuery(copying));
  *static_cast<volatile int*>(flag) = 1;
  check(cudaEventSynchronize(event));
  check(cudaStreamQuery(waiting));
  require(out.download()[0] == 7, "the kernel went on");
  check(cudaFreeHost(flag));
  check(cudaEventDestroy(event));
  check(cudaStreamDestroy(waiting));
  check(cudaStreamDestroy(copying));
}

void host_functions() {
  cudaStream_t stream;
  check(cudaStreamCreate(&stream));
  int one = 1;
  int ten = 10;
  check(cudaLaunchHostFunc(stream, on_host, &one));
  check(cudaStreamAddCallback(stream, on_stream, &ten, 0));
  check(cudaStreamSynchronize(stream));
  require(called == 11, "host functions ran before the stream was idle");
  check(cudaStreamDestroy(stream));
}

/// Work in the legacy default stream waits for other streams, and they for it.
void default_stream() {
  cudaStream_t stream;
  check(cudaStreamCreate(&stream));
  Buffer<int> list(101);
  list.zero();
  for (int i = 0; i < 10; ++i) {
    append<<<1, 1, 0, stream>>>(list.data(), 2 * i);
    append<<<1, 1>>>(list.data(), 2 * i + 1);
  }
  check(cudaDeviceSynchronize());
  const auto values = list.download();
  for (int i = 0; i < 20; ++i) require(values[1 + i] == i, "the default stream orders");
  check(cudaStreamDestroy(stream));
}

void events_measure_time() {
  cudaEvent_t start;
  cudaEvent_t stop;
  check(cudaEventCreate(&start));
  check(cudaEventCreate(&stop));
  Buffer<int> list(101);
  list.zero();
  check(cudaEventRecord(start));
  append<<<1, 1>>>(list.data(), 1);
  check(cudaEventRecord(stop));
  check(cudaEventSynchronize(stop));
  float milliseconds = -1;
  check(cudaEventElapsedTime(&milliseconds, start, stop));
  require(milliseconds >= 0, "time does not run backwards");
  check(cudaEventDestroy(start));
  check(cudaEventDestroy(stop));
  int low = 0;
  int high = 0;
  check(cudaDeviceGetStreamPriorityRange(&low, &high));
  require(high <= low, "a higher priority is a smaller number");
  cudaStream_t stream;
  check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, high));
  int priority = 0;
  check(cudaStreamGetPriority(stream, &priority));
  require(priority == high, "the priority asked for");
  check(cudaStreamDestroy(stream));
}

void host_threads() {
  std::vector<std::thread> threads;
  Buffer<int> lists(4 * 101);
  lists.zero();
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      int* list = lists.data() + t * 101;
      for (int i = 0; i < 50; ++i) append<<<1, 1, 0, cudaStreamPerThread>>>(list, t);
      check(cudaStreamSynchronize(cudaStreamPerThread));
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto values = lists.download();
  for (int t = 0; t < 4; ++t)
    require(values[t * 101] == 50 && values[t * 101 + 50] == t, "threads");
}

int main() {
  order_within_a_stream();
  order_between_streams();
  progress_of_all_streams();
  host_functions();
  default_stream();
  events_measure_time();
  host_threads();
  return done();
}
