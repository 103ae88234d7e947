// environment: GPUSIM_MACHINE=dgx-h100 GPUSIM_NCCL_FAULTS='hang rank=2 operation=3'
// architectures: 90
// A rank that hangs is left out: the others shrink the communicator and go on. Further 8-bit
// floats, a communicator that was revoked, and names that are not simulated.
#include <nccl.h>

#include <cstring>
#include <thread>
#include <tuple>

#include "check.cuh"

namespace {

constexpr int kRanks = 4;
constexpr int kCount = 100;

void check(ncclResult_t result, std::source_location where = std::source_location::current()) {
  if (result != ncclSuccess) fail("NCCL error: ", ncclGetLastError(nullptr), where);
}

template <class F>
void on_each(std::initializer_list<int> ranks, F f) {
  std::vector<std::thread> threads;
  for (const int rank : ranks) {
    threads.emplace_back([rank, f] {
      ::check(cudaSetDevice(rank));
      f(rank);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

/// 1.5 in both formats; the sum of four, 6, too. No memory is made or freed here: that waits for
/// the work of all ranks of the process.
void eight_bits(ncclComm_t comm, cudaStream_t stream, void* memory) {
  for (const auto& [type, code, sum] :
       {std::tuple{ncclFloat8e4m3, 0x3c, 0x4c}, std::tuple{ncclFloat8e5m2, 0x3e, 0x46}}) {
    ::check(cudaMemsetAsync(memory, code, 33, stream));
    check(ncclAllReduce(memory, memory, 33, type, ncclSum, comm, stream));
    unsigned char found[33];
    ::check(cudaMemcpyAsync(found, memory, 33, cudaMemcpyDeviceToHost, stream));
    ::check(cudaStreamSynchronize(stream));
    for (const unsigned char value : found) require(value == sum, "a sum of four");
  }
}

}  // namespace

int main() {
  ncclComm_t comms[kRanks];
  check(ncclCommInitAll(comms, kRanks, nullptr));
  cudaStream_t streams[kRanks];
  float* data[kRanks];
  for (int r = 0; r < kRanks; ++r) {
    ::check(cudaSetDevice(r));
    ::check(cudaStreamCreateWithFlags(&streams[r], cudaStreamNonBlocking));
    ::check(cudaMalloc(&data[r], kCount * sizeof(float)));
    const std::vector<float> ones(kCount, 1.0F);
    ::check(cudaMemcpy(data[r], ones.data(), kCount * sizeof(float), cudaMemcpyHostToDevice));
    ::check(cudaDeviceSynchronize());
  }
  const auto sum = [&](ncclComm_t comm, int r) {
    return ncclAllReduce(data[r], data[r], kCount, ncclFloat32, ncclSum, comm, streams[r]);
  };
  on_each({0, 1, 2, 3}, [&](int r) {
    eight_bits(comms[r], streams[r], data[r]);
    check(sum(comms[r], r));
    ::check(cudaStreamSynchronize(streams[r]));
  });
  on_each({0, 1, 2, 3}, [&](int r) { check(sum(comms[r], r)); });  // rank 2 hangs

  ncclComm_t smaller[kRanks] = {};
  on_each({0, 1, 3}, [&](int r) {
    int out[] = {2};
    require(ncclCommShrink(comms[r], out, 0, &smaller[r], nullptr, NCCL_SHRINK_ABORT) ==
                ncclInvalidArgument,
            "nobody to exclude");
    check(ncclCommShrink(comms[r], out, 1, &smaller[r], nullptr, NCCL_SHRINK_ABORT));
    int rank = -1, ranks = 0;
    check(ncclCommUserRank(smaller[r], &rank));
    check(ncclCommCount(smaller[r], &ranks));
    require(ranks == 3 && rank == (r == 3 ? 2 : r), "the gap is filled");
    require(sum(comms[r], r) == ncclInvalidUsage, "the old communicator takes nothing more");
    const std::vector<float> twos(kCount, 2.0F);
    ::check(cudaMemcpyAsync(data[r], twos.data(), kCount * sizeof(float), cudaMemcpyHostToDevice,
                            streams[r]));
    check(sum(smaller[r], r));
    std::vector<float> found(kCount);
    ::check(cudaMemcpyAsync(found.data(), data[r], kCount * sizeof(float), cudaMemcpyDeviceToHost,
                            streams[r]));
    ::check(cudaStreamSynchronize(streams[r]));
    for (const float value : found) require(value == 6.0F, "the sum of those left");
  });
  for (int r = 0; r < kRanks; ++r) check(ncclCommAbort(comms[r]));

  check(ncclCommInitAll(comms, kRanks, nullptr));
  on_each({0, 1, 3}, [&](int r) {
    check(ncclCommRevoke(smaller[r], NCCL_REVOKE_DEFAULT));
    require(sum(smaller[r], r) == ncclInvalidUsage, "a revoked communicator takes nothing");
    check(ncclCommDestroy(smaller[r]));
  });
  ncclWindow_t window;
  require(ncclCommWindowRegister(comms[0], data[0], 4096, &window, 0) == ncclInvalidUsage &&
              std::strstr(ncclGetLastError(nullptr), "ncclCommWindowRegister") != nullptr,
          "what is not simulated is named");
  for (int r = 0; r < kRanks; ++r) {
    check(ncclCommAbort(comms[r]));
    ::check(cudaSetDevice(r));
    ::check(cudaStreamDestroy(streams[r]));
    ::check(cudaFree(data[r]));
  }
  unsetenv("GPUSIM_NCCL_FAULTS");
  return done();
}
