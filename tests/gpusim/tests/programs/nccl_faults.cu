// environment: GPUSIM_MACHINE=dgx-h100
// architectures: 90
// Ranks that hang, fail, lose a link or die: what a program sees of it, and that an abort ends the
// work that hangs in a stream.
#include <nccl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.cuh"

namespace {

constexpr int kCount = 1000;

void check(ncclResult_t result, std::source_location where = std::source_location::current()) {
  if (result != ncclSuccess) fail("NCCL error: ", ncclGetLastError(nullptr), where);
}

struct Pair {
  ncclComm_t comms[2];
  cudaStream_t streams[2];
  float* data[2];

  Pair() {
    check(ncclCommInitAll(comms, 2, nullptr));
    for (int d = 0; d < 2; ++d) {
      ::check(cudaSetDevice(d));
      ::check(cudaStreamCreate(&streams[d]));
      ::check(cudaMalloc(&data[d], kCount * sizeof(float)));
      ::check(cudaMemsetAsync(data[d], 0, kCount * sizeof(float), streams[d]));
    }
  }
  void sum() {
    check(ncclGroupStart());
    for (int d = 0; d < 2; ++d) {
      check(ncclAllReduce(data[d], data[d], kCount, ncclFloat32, ncclSum, comms[d], streams[d]));
    }
    check(ncclGroupEnd());
  }
  void synchronize() {
    for (int d = 0; d < 2; ++d) ::check(cudaStreamSynchronize(streams[d]));
  }
  ncclResult_t state(int d) {
    ncclResult_t result = ncclSuccess;
    check(ncclCommGetAsyncError(comms[d], &result));
    return result;
  }
  void abort() {
    for (int d = 0; d < 2; ++d) check(ncclCommAbort(comms[d]));
    synchronize();
    for (int d = 0; d < 2; ++d) {
      ::check(cudaSetDevice(d));
      ::check(cudaFree(data[d]));
      ::check(cudaStreamDestroy(streams[d]));
    }
  }
};

void hang() {
  Pair pair;
  pair.sum();
  pair.synchronize();
  pair.sum();
  require(cudaStreamQuery(pair.streams[1]) == cudaErrorNotReady, "the second sum hangs");
  require(pair.state(0) == ncclSuccess && pair.state(1) == ncclSuccess, "nobody is told of it");
  pair.abort();
}

void failure() {
  Pair pair;
  pair.sum();
  while (pair.state(1) == ncclSuccess) {
  }
  require(pair.state(1) == ncclSystemError, "the rank has an asynchronous error");
  require(ncclAllReduce(pair.data[1], pair.data[1], kCount, ncclFloat32, ncclSum, pair.comms[1],
                        pair.streams[1]) == ncclSystemError,
          "further calls return it");
  pair.abort();
}

void cut() {
  Pair pair;
  pair.sum();
  while (pair.state(0) == ncclSuccess || pair.state(1) == ncclSuccess) {
  }
  require(pair.state(0) == ncclRemoteError && pair.state(1) == ncclRemoteError,
          "both sides notice the broken link");
  pair.abort();
}

void delay() {
  Pair pair;
  for (int i = 0; i < 3; ++i) pair.sum();
  pair.synchronize();
  pair.abort();
}

/// The peer is another process, which ends without a word.
void death() {
  int pipes[2];
  require(pipe(pipes) == 0, "a pipe");
  const int child = fork();
  const int rank = child == 0 ? 1 : 0;
  ncclUniqueId id;
  if (rank == 0) {
    check(ncclGetUniqueId(&id));
    require(write(pipes[1], &id, sizeof id) == sizeof id, "a message");
  } else {
    require(read(pipes[0], &id, sizeof id) == sizeof id, "a message");
  }
  ::check(cudaSetDevice(rank));
  ncclComm_t comm;
  check(ncclCommInitRank(&comm, 2, id, rank));
  if (rank == 1) _exit(0);
  ncclResult_t state = ncclSuccess;
  while (state == ncclSuccess) check(ncclCommGetAsyncError(comm, &state));
  require(state == ncclRemoteError, "a dead peer is a remote error");
  check(ncclCommAbort(comm));
  require(waitpid(child, nullptr, 0) == child, "the end of the peer");
}

void run(const char* faults, void (*scenario)()) {
  const int child = fork();
  require(child >= 0, "a process");
  if (child == 0) {
    setenv("GPUSIM_NCCL_FAULTS", faults, 1);
    scenario();
    std::exit(0);
  }
  int status = 0;
  require(waitpid(child, &status, 0) == child, "the end of a scenario");
  require(WIFEXITED(status) && WEXITSTATUS(status) == 0, faults);
}

}  // namespace

int main() {
  run("hang rank=1 operation=1", hang);
  run("fail rank=1 operation=0", failure);
  run("cut rank=1 peer=0 operation=0", cut);
  run("delay rank=0 milliseconds=20; delay rank=1 milliseconds=5", delay);
  run("", death);
  return done();
}
