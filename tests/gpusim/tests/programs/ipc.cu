// Two processes share device memory and an event: the child maps what the parent allocated, and its
// kernel spins on a flag that the parent's kernel sets.
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "check.cuh"

struct Message {
  cudaIpcMemHandle_t memory;
  cudaIpcEventHandle_t event;
};

__global__ void double_values(int* x, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] *= 2;
}
__global__ void fill(int* x, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] = i;
}
__global__ void wait_for(int* flag, int value) {
  while (atomicAdd_system(flag, 0) != value) __nanosleep(500);
  __threadfence_system();
}
__global__ void set(int* flag, int value) {
  __threadfence_system();
  atomicExch_system(flag, value);
}

constexpr int kCount = 1000;

void transfer(int file, void* data, std::size_t bytes, bool writes) {
  const ssize_t done = writes ? ::write(file, data, bytes) : ::read(file, data, bytes);
  require(done == static_cast<ssize_t>(bytes), "a message through the pipe");
}

int child(int in, int out) {
  Message message;
  transfer(in, &message, sizeof message, false);
  int* memory = nullptr;
  check(cudaIpcOpenMemHandle(reinterpret_cast<void**>(&memory), message.memory,
                             cudaIpcMemLazyEnablePeerAccess));
  cudaEvent_t event;
  check(cudaIpcOpenEventHandle(&event, message.event));
  cudaStream_t stream;
  check(cudaStreamCreate(&stream));
  check(cudaStreamWaitEvent(stream, event));
  double_values<<<4, 256, 0, stream>>>(memory, kCount);
  check(cudaStreamSynchronize(stream));
  // Both kernels run at the same time, in two processes.
  char byte = 'r';
  transfer(out, &byte, 1, true);
  wait_for<<<1, 1, 0, stream>>>(memory + kCount, 42);
  set<<<1, 1, 0, stream>>>(memory + kCount, 43);
  check(cudaStreamSynchronize(stream));
  check(cudaIpcCloseMemHandle(memory));
  check(cudaEventDestroy(event));
  check(cudaStreamDestroy(stream));
  return 0;
}

int main(int count, char** arguments) {
  if (count > 2) return child(std::atoi(arguments[1]), std::atoi(arguments[2]));
  int to_child[2];
  int to_parent[2];
  require(pipe(to_child) == 0 && pipe(to_parent) == 0, "pipes");
  const pid_t process = fork();
  if (process == 0) {
    const std::string in = std::to_string(to_child[0]);
    const std::string out = std::to_string(to_parent[1]);
    execl(arguments[0], arguments[0], in.c_str(), out.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  int* memory = nullptr;
  check(cudaMalloc(&memory, (kCount + 1) * sizeof(int)));
  check(cudaMemset(memory, 0, (kCount + 1) * sizeof(int)));
  cudaEvent_t event;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventInterprocess));
  fill<<<4, 256>>>(memory, kCount);
  check(cudaEventRecord(event));
  Message message;
  check(cudaIpcGetMemHandle(&message.memory, memory));
  check(cudaIpcGetEventHandle(&message.event, event));
  transfer(to_child[1], &message, sizeof message, true);
  char byte = 0;
  transfer(to_parent[0], &byte, 1, false);
  set<<<1, 1>>>(memory + kCount, 42);
  wait_for<<<1, 1>>>(memory + kCount, 43);
  finish();
  int status = 0;
  waitpid(process, &status, 0);
  require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child");
  std::vector<int> values(kCount);
  check(cudaMemcpy(values.data(), memory, kCount * sizeof(int), cudaMemcpyDeviceToHost));
  for (int i = 0; i < kCount; ++i) require(values[i] == 2 * i, "what the child computed");
  check(cudaFree(memory));
  check(cudaEventDestroy(event));
  return done();
}
