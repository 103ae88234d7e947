// One rank of a job between network namespaces: nccl_nodes RANK RANKS FILE SCENARIO, started by
// nodes/run.sh. FILE, on a shared disk, hands on the unique id. Scenarios: `sums`; `cut`: the link
// is taken down while sums go on, and the rank must learn of it or abort after a time limit.
#include <nccl.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <string>

#include "check.cuh"

namespace {

void check(ncclResult_t result, std::source_location where = std::source_location::current()) {
  if (result != ncclSuccess) fail("NCCL error: ", ncclGetLastError(nullptr), where);
}

ncclUniqueId exchange_id(int rank, const std::string& path) {
  ncclUniqueId id;
  if (rank == 0) {
    check(ncclGetUniqueId(&id));
    std::ofstream(path + ".part", std::ios::binary)
        .write(id.internal, static_cast<std::streamsize>(sizeof id.internal));
    require(std::rename((path + ".part").c_str(), path.c_str()) == 0, "the file of the id");
    return id;
  }
  while (access(path.c_str(), R_OK) != 0) usleep(10000);
  std::ifstream(path, std::ios::binary)
      .read(id.internal, static_cast<std::streamsize>(sizeof id.internal));
  return id;
}

/// Sums until the communicator has an error or nothing has moved for a while; then aborts.
void until_cut(ncclComm_t comm, float* data, int count, cudaStream_t stream,
               const std::string& path) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kPatience = std::chrono::seconds(2);
  bool told = false;
  ncclResult_t state = ncclSuccess;
  while (state == ncclSuccess) {
    check(ncclAllReduce(data, data, static_cast<std::size_t>(count), ncclFloat32, ncclMax, comm,
                        stream));
    const auto start = Clock::now();
    while (cudaStreamQuery(stream) == cudaErrorNotReady) {
      check(ncclCommGetAsyncError(comm, &state));
      if (state != ncclSuccess || Clock::now() - start > kPatience) break;
    }
    if (cudaStreamQuery(stream) == cudaErrorNotReady) break;
    if (!told) std::ofstream(path + ".running" + std::to_string(getpid())) << "1";
    told = true;
  }
  check(ncclCommAbort(comm));
  ::check(cudaStreamSynchronize(stream));
}

}  // namespace

int main(int, char** arguments) {
  const int rank = std::atoi(arguments[1]), ranks = std::atoi(arguments[2]);
  const std::string path = arguments[3], scenario = arguments[4];
  ::check(cudaSetDevice(0));
  const ncclUniqueId id = exchange_id(rank, path);
  ncclComm_t comm;
  check(ncclCommInitRank(&comm, ranks, id, rank));
  constexpr int kCount = 20000;
  std::vector<float> values(kCount, static_cast<float>(rank + 1));
  float* data = nullptr;
  cudaStream_t stream;
  ::check(cudaStreamCreate(&stream));
  ::check(cudaMalloc(&data, kCount * sizeof(float)));
  ::check(cudaMemcpy(data, values.data(), kCount * sizeof(float), cudaMemcpyHostToDevice));
  if (scenario == "cut") {
    until_cut(comm, data, kCount, stream, path);
  } else {
    check(ncclAllReduce(data, data, kCount, ncclFloat32, ncclSum, comm, stream));
    ::check(cudaStreamSynchronize(stream));
    ::check(cudaMemcpy(values.data(), data, kCount * sizeof(float), cudaMemcpyDeviceToHost));
    for (const float value : values) {
      require(value == static_cast<float>(ranks * (ranks + 1) / 2), "the sum");
    }
    check(ncclCommDestroy(comm));
  }
  ::check(cudaFree(data));
  ::check(cudaStreamDestroy(stream));
  return done();
}
