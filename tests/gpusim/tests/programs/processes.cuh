// Ranks as processes of their own: the program starts itself once per rank, and hands all of them
// one page for a barrier and the handles of their memory.
#pragma once

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "check.cuh"

constexpr int kMaxRanks = 16;

struct Shared {
  pthread_barrier_t barrier;
  cudaIpcMemHandle_t handles[kMaxRanks][2];
};

struct Ranks {
  int rank = 0;
  int ranks = 0;
  Shared* shared = nullptr;

  void barrier() const { pthread_barrier_wait(&shared->barrier); }
  /// The addresses of everybody's memory; `slot` tells several from each other.
  template <class T>
  std::vector<T*> share(T* mine, int slot = 0) const {
    check(cudaIpcGetMemHandle(&shared->handles[rank][slot], mine));
    barrier();
    std::vector<T*> all(static_cast<std::size_t>(ranks));
    for (int r = 0; r < ranks; ++r) {
      void* mapped = mine;
      if (r != rank) {
        check(cudaIpcOpenMemHandle(&mapped, shared->handles[r][slot],
                                   cudaIpcMemLazyEnablePeerAccess));
      }
      all[static_cast<std::size_t>(r)] = static_cast<T*>(mapped);
    }
    barrier();
    return all;
  }
  template <class T>
  void close(const std::vector<T*>& all) const {
    barrier();
    for (int r = 0; r < ranks; ++r) {
      if (r != rank) check(cudaIpcCloseMemHandle(all[static_cast<std::size_t>(r)]));
    }
    barrier();
  }
};

/// body(ranks) in `count` processes, rank r on device r modulo `devices`; what main returns.
template <class Body>
int run_ranks(int count, int devices, int argument_count, char** arguments, Body body) {
  if (argument_count > 2) {
    Ranks ranks;
    ranks.rank = std::atoi(arguments[1]);
    ranks.ranks = count;
    ranks.shared = static_cast<Shared*>(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                             MAP_SHARED, std::atoi(arguments[2]), 0));
    check(cudaSetDevice(ranks.rank % devices));
    body(ranks);
    return 0;
  }
  const int file = memfd_create("ranks", 0);
  require(file >= 0 && ftruncate(file, sizeof(Shared)) == 0, "a shared page");
  auto* shared = static_cast<Shared*>(
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  pthread_barrierattr_t attributes;
  pthread_barrierattr_init(&attributes);
  pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_barrier_init(&shared->barrier, &attributes, static_cast<unsigned>(count));
  for (int rank = 0; rank < count; ++rank) {
    if (fork() != 0) continue;
    const std::string number = std::to_string(rank), page = std::to_string(file);
    execl("/proc/self/exe", arguments[0], number.c_str(), page.c_str(),
          static_cast<char*>(nullptr));
    _exit(127);
  }
  int worst = 0;
  for (int rank = 0; rank < count; ++rank) {
    int status = 0;
    require(wait(&status) > 0, "a rank");
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    worst = code > worst ? code : worst;
  }
  return worst != 0 ? worst : done();
}
