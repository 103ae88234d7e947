// printf from kernels: formats, strings, order within a thread; read back through a file.
#include <unistd.h>

#include <cstring>
#include <string>

#include "check.cuh"

__device__ const char* words[2] = {"even", "odd"};

__global__ void speak(int base, long long wide, double number) {
  printf("[%d] %s %5.2f %lld %c%%\n", base + static_cast<int>(threadIdx.x), words[threadIdx.x % 2],
         number, wide, 'x');
}

__global__ void many_arguments(void* pointer) {
  printf("%d %u %x %08X %o %i|%-5d|%+d|%e %g %a|%s|%p\n", -1, 2U, 255, 0xbeef, 8, 3, 4, 5, 1.5, 2.5,
         1.0, "text", pointer);
}

__global__ void count_characters(int* out) {
  out[0] = printf("no arguments\n");
  out[1] = printf("%d %d\n", 1, 2);
}

int main() {
  std::fflush(stdout);
  char name[] = "/tmp/gpusim-print-XXXXXX";
  const int file = mkstemp(name);
  require(file >= 0, "a temporary file");
  unlink(name);
  const int saved = dup(STDOUT_FILENO);
  dup2(file, STDOUT_FILENO);
  Buffer<int> returned(2);
  speak<<<1, 3>>>(10, 1LL << 40, 3.14159);
  finish();
  many_arguments<<<1, 1>>>(reinterpret_cast<void*>(0x1234));
  finish();
  count_characters<<<1, 1>>>(returned.data());
  finish();
  std::fflush(stdout);
  dup2(saved, STDOUT_FILENO);
  std::string text(4096, '\0');
  const ssize_t bytes = pread(file, text.data(), text.size(), 0);
  text.resize(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
  std::fprintf(stderr, "%s", text.c_str());
  for (const char* line :
       {"[10] even  3.14 1099511627776 x%\n", "[11] odd  3.14 1099511627776 x%\n",
        "[12] even  3.14 1099511627776 x%\n",
        "-1 2 ff 0000BEEF 10 3|4    |+5|1.500000e+00 2.5 0x1p+0|text|0x1234\n",
        "no arguments\n1 2\n"}) {
    require(text.find(line) != std::string::npos, line);
  }
  const auto counts = returned.download();
  require(counts[0] == 0 && counts[1] == 2, "printf returns the number of its arguments");
  return done();
}
