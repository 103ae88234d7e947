#include "nccl/operation.hpp"

#include <cstddef>
#include <memory>
#include <utility>

#include "check/peer_order.hpp"
#include "cudart/internal.hpp"
#include "cudart/regions.hpp"
#include "machine/machine.hpp"
#include "nccl/choices.hpp"
#include "nccl/perform.hpp"

namespace gpusim::nccl {

namespace {

bool reduces(Kind kind) {
  return kind == Kind::kAllReduce || kind == Kind::kReduce || kind == Kind::kReduceScatter;
}

bool has_root(Kind kind) {
  return kind != Kind::kAllReduce && kind != Kind::kReduceScatter && kind != Kind::kAllGather &&
         kind != Kind::kAllToAll;
}

/// Blocks of `count` elements behind `from` and `to` on a rank; 0: not touched.
std::pair<int, int> blocks(const Call& call, int rank, int ranks) {
  const bool root = rank == call.root;
  switch (call.kind) {
    case Kind::kAllReduce:
      return {1, 1};
    case Kind::kReduce:
      return {1, root ? 1 : 0};
    case Kind::kReduceScatter:
      return {ranks, 1};
    case Kind::kAllGather:
      return {1, ranks};
    case Kind::kBroadcast:
      return {root ? 1 : 0, 1};
    case Kind::kAllToAll:
      return {ranks, ranks};
    case Kind::kGather:
      return {1, root ? ranks : 0};
    case Kind::kScatter:
      return {root ? ranks : 0, 1};
    case Kind::kSend:
      return {1, 0};
    case Kind::kReceive:
      return {0, 1};
  }
  return {0, 0};
}

void add_regions(const Call& call, const CommunicatorState& state,
                 std::vector<cudart::Region>& regions) {
  const auto [from, to] = blocks(call, state.rank, state.ranks);
  const auto add = [&](const char* what, const void* data, int count, bool written) {
    if (count == 0 || call.count == 0) return;
    regions.push_back({.what = what,
                       .address = reinterpret_cast<std::uintptr_t>(data),
                       .bytes = static_cast<std::int64_t>(call.bytes()) * count,
                       .written = written,
                       .alignment = size_of(call.type)});
  };
  add("sendbuff", call.from, from, false);
  const auto* received = static_cast<const std::byte*>(call.to);
  const auto* own = received + call.bytes() * static_cast<std::size_t>(state.rank);
  if (call.kind == Kind::kAllGather && call.from == own) {
    // In place the own block stays as it is: other work may read it meanwhile.
    add("recvbuff", received, state.rank, true);
    add("recvbuff", own + call.bytes(), to - state.rank - 1, true);
    return;
  }
  add("recvbuff", call.to, to, true);
}

std::string title(const std::vector<Call>& calls) {
  if (calls.size() == 1) return name_of(calls.front().kind);
  return "ncclGroup of " + std::to_string(calls.size()) + " calls";
}

ncclResult_t from_cuda(ncclComm& communicator, cudaError_t error) {
  if (error == cudaSuccess) return ncclSuccess;
  return refuse(&communicator, ncclUnhandledCudaError, cudaGetErrorString(error));
}

/// The first stream waits for what the others of a group hold, and they for the group.
class StreamJoin {
 public:
  explicit StreamJoin(const std::vector<Call>& calls) : first_(calls.front().stream) {
    for (const Call& call : calls) {
      bool known = call.stream == first_;
      for (const cudaStream_t other : others_) known = known || call.stream == other;
      if (!known) others_.push_back(call.stream);
    }
  }
  cudaError_t gather() const { return order(others_, {first_}); }
  cudaError_t release() const { return order({first_}, others_); }

 private:
  static cudaError_t order(const std::vector<cudaStream_t>& before,
                           const std::vector<cudaStream_t>& after) {
    for (const cudaStream_t earlier : before) {
      for (const cudaStream_t later : after) {
        cudaEvent_t event = nullptr;
        cudaError_t error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
        if (error == cudaSuccess) error = cudaEventRecord(event, earlier);
        if (error == cudaSuccess) error = cudaStreamWaitEvent(later, event, 0);
        if (event != nullptr) cudaEventDestroy(event);
        if (error != cudaSuccess) return error;
      }
    }
    return cudaSuccess;
  }

  cudaStream_t first_;
  std::vector<cudaStream_t> others_;
};

}  // namespace

const char* name_of(Kind kind) {
  constexpr const char* kNames[] = {
      "ncclAllReduce", "ncclReduce", "ncclReduceScatter", "ncclAllGather", "ncclBroadcast",
      "ncclAlltoAll",  "ncclGather", "ncclScatter",       "ncclSend",      "ncclRecv"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string problem_with(const Call& call, const ncclComm& communicator) {
  const DeviceScope scope(communicator);
  const CommunicatorState& state = *communicator.state;
  const auto [from, to] = blocks(call, state.rank, state.ranks);
  if (size_of(call.type) == 0) return "an unknown type";
  if (reduces(call.kind)) {
    const int operation = call.reduction.operation;
    if (operation < 0 || operation >= ncclNumOps) return "an unknown reduction";
    const bool narrow = call.type == ncclFloat8e4m3 || call.type == ncclFloat8e5m2;
    const auto device = static_cast<std::size_t>(communicator.device);
    if (narrow && machine().devices[device].architecture < 90) {
      return std::string("reductions of ") + name_of(call.type) +
             " need a device of sm_90 or later";
    }
  }
  if (has_root(call.kind) && (call.root < 0 || call.root >= state.ranks)) {
    return "root or peer " + std::to_string(call.root) + " of " + std::to_string(state.ranks) +
           " ranks";
  }
  if (call.count > 0 && ((from > 0 && call.from == nullptr) || (to > 0 && call.to == nullptr))) {
    return "a buffer is null";
  }
  if (cudart::stream_device(call.stream) != communicator.device) {
    return "the stream is not one of the communicator's device";
  }
  return "";
}

ncclResult_t enqueue(ncclComm& communicator, std::vector<Call> calls) {
  const DeviceScope scope(communicator);
  const std::shared_ptr<CommunicatorState> state = communicator.state;
  std::vector<cudart::Region> regions;
  for (Call& call : calls) {
    call.index = communicator.calls++;
    const auto peer = static_cast<std::size_t>(call.root);
    call.number = call.kind == Kind::kSend      ? communicator.sends[peer]++
                  : call.kind == Kind::kReceive ? communicator.receives[peer]++
                                                : communicator.collectives++;
    add_regions(call, *state, regions);
    log_choice(call, *state);
  }
  const std::string name = title(calls);
  const StreamJoin join(calls);
  cudaError_t error = join.gather();
  if (error != cudaSuccess) return from_cuda(communicator, error);
  const cudaStream_t stream = calls.front().stream;
  const auto runs = std::make_shared<std::atomic<std::uint64_t>>(0);
  const auto shared = std::make_shared<const std::vector<Call>>(std::move(calls));
  const int device = communicator.device;
  const AccessSet accesses = cudart::accesses_of(regions);
  // What is captured runs when the program wants; a communicator that ends waits for the rest.
  const bool counted = !cudart::is_capturing(stream);
  if (counted) state->begin_work();
  error = cudart::enqueue_work(
      stream, name, accesses,
      [state, runs, shared, device, name, counted, regions = std::move(regions)] {
        const std::uint64_t run = runs->fetch_add(1);
        Fault fault = cudart::check_regions(name, device, regions);
        peer_host_waited();
        if (fault == Fault::kNone && perform(*state, *shared, run)) {
          cudart::mark_written(regions);
        }
        peer_joined_others();
        if (counted) state->end_work();
        return fault;
      });
  if (error != cudaSuccess && counted) state->end_work();
  if (error == cudaSuccess) error = join.release();
  return from_cuda(communicator, error);
}

}  // namespace gpusim::nccl
