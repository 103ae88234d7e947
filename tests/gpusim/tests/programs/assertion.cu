// assert and __trap end a kernel with an error that stays. Each is tried in a process of its own,
// since the error spoils the context.
#include <sys/wait.h>
#include <unistd.h>

#include <cassert>
#include <cstring>

#include "check.cuh"

__global__ void asserting(int n) {
  assert(static_cast<int>(threadIdx.x) < n);
}

__global__ void trapping(int n) {
  if (threadIdx.x == static_cast<unsigned>(n)) __trap();
}

int child(const char* what) {
  const bool traps = std::strcmp(what, "trap") == 0;
  if (traps) {
    trapping<<<1, 32>>>(7);
  } else {
    asserting<<<2, 32>>>(std::strcmp(what, "fails") == 0 ? 9 : 99);
  }
  const cudaError_t status = cudaDeviceSynchronize();
  if (std::strcmp(what, "holds") == 0) return status == cudaSuccess ? 0 : 1;
  const cudaError_t expected = traps ? cudaErrorLaunchFailure : cudaErrorAssert;
  void* memory = nullptr;
  const bool stays = cudaMalloc(&memory, 4) == expected && cudaGetLastError() == expected &&
                     cudaGetLastError() == expected;
  return status == expected && stays ? 0 : 1;
}

int main(int count, char** arguments) {
  if (count > 1) return child(arguments[1]);
  for (const char* what : {"holds", "fails", "trap"}) {
    const pid_t process = fork();
    if (process == 0) {
      // What the device and the simulator say about the failure is not under test here.
      if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(1);
      execl(arguments[0], arguments[0], what, static_cast<char*>(nullptr));
      _exit(1);
    }
    int status = 0;
    waitpid(process, &status, 0);
    // The simulator counts a fault as a problem: the status is then its own.
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
    const bool faults = std::strcmp(what, "holds") != 0;
    require(code == 0 || (faults && code == 86), what);
  }
  return done();
}
