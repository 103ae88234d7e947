// A kernel that does nothing but set a flag hands on what the kernel before it in the stream wrote;
// a kernel that does nothing but wait for it hands it to the kernel behind. No rank says a word to
// the others' hosts meanwhile, and nothing is reported.
// environment: GPUSIM_MACHINE=dgx-h100
// architectures: 90
#include "processes.cuh"

constexpr int kElements = 256;

__global__ void write(int* to, int value) {
  to[threadIdx.x] = value + static_cast<int>(threadIdx.x);
}

__global__ void set_flag(unsigned* flag, unsigned value) {
  asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(flag), "r"(value) : "memory");
}

__global__ void wait_flag(const unsigned* flag, unsigned value) {
  unsigned seen = 0;
  do {
    asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(seen) : "l"(flag) : "memory");
  } while (seen < value);
}

__global__ void read(const int* from, int* to) {
  to[threadIdx.x] = from[threadIdx.x];
}

/// Each rank writes for the next one, round after round into other memory.
void pass_on(const Ranks& ranks) {
  constexpr int kRounds = 4;
  int *memory = nullptr, *out = nullptr;
  unsigned* flag = nullptr;
  check(cudaMalloc(&memory, kRounds * kElements * sizeof(int)));
  check(cudaMalloc(&out, kRounds * kElements * sizeof(int)));
  check(cudaMalloc(&flag, sizeof(unsigned)));
  check(cudaMemset(flag, 0, sizeof(unsigned)));
  check(cudaDeviceSynchronize());
  const std::vector<int*> memories = ranks.share(memory, 0);
  const std::vector<unsigned*> flags = ranks.share(flag, 1);
  const auto next = static_cast<std::size_t>((ranks.rank + 1) % ranks.ranks);
  const auto before = static_cast<std::size_t>((ranks.rank + ranks.ranks - 1) % ranks.ranks);
  for (int round = 0; round < kRounds; ++round) {
    const int begin = round * kElements;
    const auto number = static_cast<unsigned>(round + 1);
    write<<<1, kElements>>>(memory + begin, 1000 * ranks.rank + round);
    set_flag<<<1, 1>>>(flags[next], number);
    wait_flag<<<1, 1>>>(flag, number);
    read<<<1, kElements>>>(memories[before] + begin, out + begin);
  }
  std::vector<int> found(kRounds * kElements);
  check(cudaMemcpy(found.data(), out, found.size() * sizeof(int), cudaMemcpyDeviceToHost));
  for (int i = 0; i < kRounds * kElements; ++i) {
    const int wanted = 1000 * static_cast<int>(before) + i / kElements + i % kElements;
    require(found[static_cast<std::size_t>(i)] == wanted, "what the rank before wrote");
  }
  ranks.close(memories);
  ranks.close(flags);
  for (void* block :
       {static_cast<void*>(memory), static_cast<void*>(out), static_cast<void*>(flag)}) {
    check(cudaFree(block));
  }
}

int main(int count, char** arguments) {
  return run_ranks(3, 3, count, arguments, pass_on);
}
