// environment: GPUSIM_MACHINE=dgx-h100
// architectures: 90
// Collectives between processes, one GPU each: every operation and reduction, odd sizes, in place,
// groups of sends and receives, captured work that is replayed, a split communicator, and one that
// is initialised without blocking.
#include <nccl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <functional>

#include "check.cuh"

namespace {

int rank = 0, ranks = 1;
ncclComm_t comm;
cudaStream_t stream;

void check(ncclResult_t result, std::source_location where = std::source_location::current()) {
  if (result != ncclSuccess) fail("NCCL error: ", ncclGetLastError(nullptr), where);
}

/// What a rank contributes: small integers, so that sums are exact in any order.
int value(int of, std::size_t i) {
  return static_cast<int>((i * 5 + static_cast<std::size_t>(of) * 3 + 1) % 8);
}

template <typename T>
std::vector<T> values(int of, std::size_t first, std::size_t count) {
  std::vector<T> result;
  for (std::size_t i = 0; i < count; ++i) result.push_back(static_cast<T>(value(of, first + i)));
  return result;
}

template <typename T>
void expect(const Buffer<T>& buffer, const std::function<double(std::size_t)>& wanted,
            const char* what) {
  ::check(cudaStreamSynchronize(stream));
  const std::vector<T> found = buffer.download();
  for (std::size_t i = 0; i < found.size(); ++i) {
    require_close(static_cast<double>(found[i]), wanted(i), 1e-6, what);
  }
}

double reduced(ncclRedOp_t operation, std::size_t i) {
  double result = value(0, i);
  for (int r = 1; r < ranks; ++r) {
    const double other = value(r, i);
    if (operation == ncclSum || operation == ncclAvg) result += other;
    if (operation == ncclProd) result *= other;
    if (operation == ncclMax) result = std::max(result, other);
    if (operation == ncclMin) result = std::min(result, other);
  }
  return operation == ncclAvg ? result / ranks : result;
}

template <typename T>
void every_operation(ncclDataType_t type, std::size_t count) {
  const std::size_t all = count * static_cast<std::size_t>(ranks);
  const std::size_t mine = count * static_cast<std::size_t>(rank);
  for (const ncclRedOp_t operation : {ncclSum, ncclMax, ncclMin}) {
    Buffer<T> in_place(values<T>(rank, 0, count));
    check(ncclAllReduce(in_place.data(), in_place.data(), count, type, operation, comm, stream));
    expect<T>(
        in_place, [&](std::size_t i) { return reduced(operation, i); }, "all-reduce");
  }
  const Buffer<T> whole(values<T>(rank, 0, all));
  const Buffer<T> part(values<T>(rank, 0, count));
  Buffer<T> block(count), blocks(all);
  check(ncclReduceScatter(whole.data(), block.data(), count, type, ncclSum, comm, stream));
  expect<T>(
      block, [&](std::size_t i) { return reduced(ncclSum, mine + i); }, "reduce-scatter");
  check(ncclAllGather(part.data(), blocks.data(), count, type, comm, stream));
  expect<T>(
      blocks, [&](std::size_t i) { return value(static_cast<int>(i / count), i % count); },
      "all-gather");
  check(ncclAlltoAll(whole.data(), blocks.data(), count, type, comm, stream));
  expect<T>(
      blocks, [&](std::size_t i) { return value(static_cast<int>(i / count), mine + i % count); },
      "all-to-all");
  const int root = ranks - 1;
  block.upload(values<T>(rank, 0, count));
  check(ncclBroadcast(block.data(), block.data(), count, type, root, comm, stream));
  expect<T>(
      block, [&](std::size_t i) { return value(root, i); }, "broadcast");
  check(ncclReduce(part.data(), block.data(), count, type, ncclSum, root, comm, stream));
  if (rank == root) {
    expect<T>(
        block, [&](std::size_t i) { return reduced(ncclSum, i); }, "reduce");
  }
  check(ncclGather(part.data(), blocks.data(), count, type, root, comm, stream));
  if (rank == root) {
    expect<T>(
        blocks, [&](std::size_t i) { return value(static_cast<int>(i / count), i % count); },
        "gather");
  }
  check(ncclScatter(whole.data(), block.data(), count, type, root, comm, stream));
  expect<T>(
      block, [&](std::size_t i) { return value(root, mine + i); }, "scatter");
}

void averages_and_scaled_sums() {
  Buffer<float> data(values<float>(rank, 0, 100));
  check(ncclAllReduce(data.data(), data.data(), 100, ncclFloat32, ncclAvg, comm, stream));
  expect<float>(
      data, [](std::size_t i) { return static_cast<float>(reduced(ncclAvg, i)); }, "average");
  float half = 0.5F;
  ncclRedOp_t halved;
  check(ncclRedOpCreatePreMulSum(&halved, &half, ncclFloat32, ncclScalarHostImmediate, comm));
  data.upload(values<float>(rank, 0, 100));
  check(ncclAllReduce(data.data(), data.data(), 100, ncclFloat32, halved, comm, stream));
  expect<float>(
      data, [](std::size_t i) { return reduced(ncclSum, i) / 2; }, "scaled sum");
  check(ncclRedOpDestroy(halved, comm));
}

/// Everybody sends to the next and receives from the one before, in one group.
void ring_of_sends() {
  const int next = (rank + 1) % ranks, before = (rank + ranks - 1) % ranks;
  const Buffer<int> out(values<int>(rank, 0, 1001));
  Buffer<int> in(1001);
  for (int round = 0; round < 3; ++round) {
    in.upload(std::vector<int>(1001));
    check(ncclGroupStart());
    check(ncclSend(out.data(), 1001, ncclInt32, next, comm, stream));
    check(ncclRecv(in.data(), 1001, ncclInt32, before, comm, stream));
    check(ncclGroupEnd());
    expect<int>(
        in, [&](std::size_t i) { return value(before, i); }, "what came round the ring");
  }
}

__global__ void increment(int* data, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) data[i] += 1;
}

/// A collective on a second stream of a captured graph, between two kernels.
void captured() {
  constexpr int kCount = 777;
  Buffer<int> data(values<int>(rank, 0, kCount));
  cudaStream_t side;
  cudaEvent_t fork, join;
  ::check(cudaStreamCreate(&side));
  ::check(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
  ::check(cudaEventCreateWithFlags(&join, cudaEventDisableTiming));
  ::check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  increment<<<4, 256, 0, stream>>>(data.data(), kCount);
  ::check(cudaEventRecord(fork, stream));
  ::check(cudaStreamWaitEvent(side, fork));
  check(ncclAllReduce(data.data(), data.data(), kCount, ncclInt32, ncclMax, comm, side));
  ::check(cudaEventRecord(join, side));
  ::check(cudaStreamWaitEvent(stream, join));
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  ::check(cudaStreamEndCapture(stream, &graph));
  ::check(cudaGraphInstantiate(&executable, graph));
  for (int run = 0; run < 4; ++run) ::check(cudaGraphLaunch(executable, stream));
  expect<int>(
      data, [](std::size_t i) { return reduced(ncclMax, i) + 4; }, "the captured all-reduce");
  ::check(cudaGraphExecDestroy(executable));
  ::check(cudaGraphDestroy(graph));
  ::check(cudaEventDestroy(fork));
  ::check(cudaEventDestroy(join));
  ::check(cudaStreamDestroy(side));
}

/// Waits for what a non-blocking communicator began.
void finish(ncclComm_t which, ncclResult_t state) {
  require(state == ncclSuccess || state == ncclInProgress, "initialisation begins");
  while (state == ncclInProgress) check(ncclCommGetAsyncError(which, &state));
  check(state);
}

/// Even and odd ranks apart, in reverse order.
void split() {
  ncclComm_t half;
  ncclResult_t state = ncclCommSplit(comm, rank % 2, -rank, &half, nullptr);
  finish(half, state);
  int half_rank = -1, half_ranks = 0;
  check(ncclCommUserRank(half, &half_rank));
  check(ncclCommCount(half, &half_ranks));
  require(half_ranks == (ranks + 1 - rank % 2) / 2, "the size of a half");
  require(half_rank == half_ranks - 1 - rank / 2, "the order in a half");
  Buffer<int> data(std::vector<int>{1 << rank});
  check(ncclAllReduce(data.data(), data.data(), 1, ncclInt32, ncclSum, half, stream));
  int wanted = 0;
  for (int r = rank % 2; r < ranks; r += 2) wanted += 1 << r;
  expect<int>(
      data, [&](std::size_t) { return wanted; }, "the sum in a half");
  check(ncclCommDestroy(half));
  ncclComm_t none;
  state = ncclCommSplit(comm, rank == 0 ? 0 : NCCL_SPLIT_NOCOLOR, 0, &none, nullptr);
  finish(none, state);
  require((none != nullptr) == (rank == 0), "no communicator without a color");
  check(ncclCommDestroy(none));
}

void registered_memory() {
  int* data = nullptr;
  void* handle = nullptr;
  check(ncclMemAlloc(reinterpret_cast<void**>(&data), 4096));
  check(ncclCommRegister(comm, data, 4096, &handle));
  ::check(cudaMemsetAsync(data, 0, 4096, stream));
  check(ncclAllReduce(data, data, 1024, ncclInt32, ncclSum, comm, stream));
  ::check(cudaStreamSynchronize(stream));
  check(ncclCommDeregister(comm, handle));
  cudaIpcMemHandle_t shared;
  expect_error(cudaIpcGetMemHandle(&shared, data), cudaErrorInvalidValue);
  cudaGetLastError();
  check(ncclMemFree(data));
}

void refusals() {
  Buffer<int> data(4);
  require(ncclAllReduce(nullptr, data.data(), 4, ncclInt32, ncclSum, comm, stream) ==
              ncclInvalidArgument,
          "a null buffer is refused");
  require(ncclBroadcast(data.data(), data.data(), 4, ncclInt32, ranks, comm, stream) ==
              ncclInvalidArgument,
          "a root that is no rank is refused");
  require(ncclGroupEnd() == ncclInvalidUsage, "an end without a start is refused");
  require(std::strlen(ncclGetLastError(comm)) > 0, "the last error has a text");
}

int run(const ncclUniqueId& id) {
  ::check(cudaSetDevice(rank));
  ::check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  const ncclResult_t state = ncclCommInitRankConfig(&comm, ranks, id, rank, &config);
  finish(comm, state);
  for (const std::size_t count : {std::size_t{1}, std::size_t{3}, std::size_t{10007}}) {
    every_operation<float>(ncclFloat32, count);
    every_operation<double>(ncclFloat64, count);
    every_operation<int>(ncclInt32, count);
    every_operation<std::uint8_t>(ncclUint8, count);
    every_operation<long long>(ncclInt64, count);
  }
  averages_and_scaled_sums();
  ring_of_sends();
  captured();
  split();
  registered_memory();
  refusals();
  ::check(cudaStreamDestroy(stream));
  check(ncclCommFinalize(comm));
  check(ncclCommDestroy(comm));
  return 0;
}

/// The unique id is made by rank 0, which alone may touch CUDA before it forks nobody any more: so
/// it travels through pipes.
void job(int number) {
  ranks = number;
  std::vector<int> to_child, children;
  int from_first[2];
  require(pipe(from_first) == 0, "a pipe");
  for (int r = 0; r < ranks; ++r) {
    int pipes[2];
    require(pipe(pipes) == 0, "a pipe");
    const int child = fork();
    require(child >= 0, "a process");
    if (child == 0) {
      rank = r;
      ncclUniqueId id;
      if (rank == 0) {
        check(ncclGetUniqueId(&id));
        require(write(from_first[1], &id, sizeof id) == sizeof id, "a message");
      } else {
        require(read(pipes[0], &id, sizeof id) == sizeof id, "a message");
      }
      std::exit(run(id));
    }
    children.push_back(child);
    to_child.push_back(pipes[1]);
  }
  ncclUniqueId id;
  require(read(from_first[0], &id, sizeof id) == sizeof id, "a message");
  for (int r = 1; r < ranks; ++r) {
    require(write(to_child[static_cast<std::size_t>(r)], &id, sizeof id) == sizeof id, "a message");
  }
  for (const int child : children) {
    int status = 0;
    require(waitpid(child, &status, 0) == child, "the end of a rank");
    require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a rank that succeeds");
  }
}

}  // namespace

int main() {
  for (const int number : {1, 2, 3, 5, 8}) job(number);
  return done();
}
