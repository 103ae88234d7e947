#include <nccl.h>

#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "collectives/flight_stamper.hpp"
#include "collectives/host_staging.hpp"
#include "collectives/nccl/check.hpp"
#include "collectives/nccl/comm.hpp"
#include "collectives/nccl/monitor.hpp"
#include "collectives/nccl/nccl_communicator.hpp"
#include "ops/device/cuda/check.hpp"
#include "ops/device/cuda/cuda_device.hpp"
#include "ops/device/cuda/cuda_stream.hpp"

namespace ingot {
namespace {

using nccl::Comm;

/// Words that barriers add up: streams are unordered, so each has one of its own.
constexpr std::int64_t kBarrierWords = 256;
constexpr std::int64_t kBarrierStride = 256;  ///< bytes

/// What a communicator and those that are split off it have in common.
struct Shared {
  explicit Shared(NcclOptions given) : options(std::move(given)), monitor(options.failed) {}
  NcclOptions options;
  nccl::Monitor monitor;
};

/// How NCCL is to see the elements of a call.
struct Elements {
  ncclDataType_t type = ncclUint8;
  std::size_t count = 0;
};

Elements elements_of(const CollectiveCall& call) {
  const auto count = static_cast<std::size_t>(call.count);
  switch (call.type) {
    case DType::kF32:
      return {ncclFloat32, count};
    case DType::kBf16:
      return {ncclBfloat16, count};
    case DType::kF64:
      return {ncclFloat64, count};
    case DType::kU8:
      return {ncclUint8, count};
    case DType::kI32:
      return {ncclInt32, count};
    case DType::kU32:
      return {ncclUint32, count};
    case DType::kI64:
      return {ncclInt64, count};
    case DType::kU16:
      break;
  }
  // NCCL moves 16-bit integers as bytes, and cannot add them.
  const bool reduces =
      call.kind == CollectiveKind::kAllReduce || call.kind == CollectiveKind::kReduceScatter;
  ensure(!reduces, "a reduction over NCCL of a type that NCCL has, which u16 is not");
  return {ncclUint8, static_cast<std::size_t>(call.bytes())};
}

ncclRedOp_t operation_of(ReduceOperation operation) {
  switch (operation) {
    case ReduceOperation::kSum:
      return ncclSum;
    case ReduceOperation::kMin:
      return ncclMin;
    case ReduceOperation::kMax:
      return ncclMax;
  }
  return ncclSum;
}

class NcclCommunicator final : public Communicator, private nccl::Monitored {
 public:
  NcclCommunicator(std::shared_ptr<Shared> shared, int rank, int size);
  ~NcclCommunicator() override;

  /// Makes all ranks find each other.
  void connect();
  void set_comm(std::unique_ptr<Comm> comm);

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string transport() const override { return "nccl"; }

  void share(const Buffer& buffer) override;
  void unshare(const Buffer& buffer) override;
  void cancel() override;
  [[noreturn]] void abort(int exit_code) override {
    shared_->options.abort(exit_code);
    std::abort();  // it does not return
  }

 private:
  std::unique_ptr<Communicator> create_split(int color, int key) override;
  void enqueue(const CollectiveCall& call, Stream& stream) override;
  ncclResult_t put(const CollectiveCall& call, ncclComm_t comm, Stream& stream);
  ncclResult_t put_all_to_all(const CollectiveCall& call, const Elements& elements, ncclComm_t comm,
                              cudaStream_t stream) const;
  void* barrier_word(const Stream& stream);

  std::optional<Error> background_error() override;
  void abort_exchanges() override { comm_->abort(); }

  Device& device() const { return *shared_->options.device; }

  std::shared_ptr<Shared> shared_;
  int rank_;
  int size_;
  FlightStamper stamper_;
  Buffer barrier_words_;
  std::unique_ptr<Comm> comm_;
  std::map<const void*, void*> registered_;  ///< NCCL's handles, by address
  std::map<const Stream*, std::int64_t> word_of_stream_;
};

NcclCommunicator::NcclCommunicator(std::shared_ptr<Shared> shared, int rank, int size)
    : shared_(std::move(shared)),
      rank_(rank),
      size_(size),
      stamper_(*shared_->options.device),
      barrier_words_(device().allocate(kBarrierWords * kBarrierStride, "barriers")) {
  auto stream = device().create_stream("start of NCCL");
  device().fill_zero(*stream, barrier_words_.data(), barrier_words_.bytes());
  stream->synchronize();
}

void NcclCommunicator::set_comm(std::unique_ptr<Comm> comm) {
  ensure(comm->rank() == rank_ && comm->size() == size_, "the ranks as NCCL numbers them");
  comm_ = std::move(comm);
  shared_->monitor.add(*this);
}

NcclCommunicator::~NcclCommunicator() {
  stop_watching();
  shared_->monitor.remove(*this);
  for (const auto& [data, handle] : registered_) {
    if (!comm_->aborted()) (void)comm_->deregister(handle);
  }
}

void NcclCommunicator::connect() {
  const NcclOptions& options = shared_->options;
  FlightEntry& step = begin_step("start of NCCL");
  ncclUniqueId id{};
  std::string text;
  if (rank_ == 0) {
    nccl::check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    text.assign(id.internal, sizeof id.internal);
  }
  // Ranks that do not come are missed here: the exchange is one that the watchdog watches.
  text = options.all_gather(text).front();
  ensure(text.size() == sizeof id.internal, "NCCL's id of rank 0");
  std::memcpy(id.internal, text.data(), text.size());
  const std::string& who = options.names[static_cast<std::size_t>(rank_)];
  set_comm(Comm::create(id, size_, rank_, options.timeout, who));
  step.finish();
}

std::unique_ptr<Communicator> NcclCommunicator::create_split(int color, int key) {
  FlightEntry& step = begin_step("split of a communicator");
  std::unique_ptr<Comm> comm = comm_->split(color, key, shared_->options.timeout);
  auto part = std::make_unique<NcclCommunicator>(shared_, comm->rank(), comm->size());
  part->set_comm(std::move(comm));
  step.finish();
  return part;
}

void NcclCommunicator::cancel() {
  cuda::cuda_device(device()).give_up("exchanges of GPUs were given up");
  shared_->monitor.cancel();
}

std::optional<Error> NcclCommunicator::background_error() {
  auto error = comm_->background_error();
  if (error) fail_in_flight();
  return error;
}

void NcclCommunicator::share(const Buffer& buffer) {
  if (size_ == 1 || buffer.data() == nullptr) return;
  void*& handle = registered_[buffer.data()];
  ensure(handle == nullptr, "a buffer that is not shared yet");
  handle = comm_->register_memory(buffer.data(), buffer.bytes());
}

void NcclCommunicator::unshare(const Buffer& buffer) {
  const auto found = registered_.find(buffer.data());
  if (found == registered_.end()) return;
  comm_->deregister(found->second);
  registered_.erase(found);
}

void* NcclCommunicator::barrier_word(const Stream& stream) {
  const auto next = static_cast<std::int64_t>(word_of_stream_.size()) % kBarrierWords;
  const std::int64_t word = word_of_stream_.try_emplace(&stream, next).first->second;
  return barrier_words_.at(word * kBarrierStride, sizeof(std::uint32_t));
}

void NcclCommunicator::enqueue(const CollectiveCall& call, Stream& stream) {
  if (size_ == 1) return HostStaging::copy_alone(call, stream);
  const cudaStream_t native = cuda::native(stream);
  stamper_.prepare(*call.flight);
  FlightStamper::start(call, native);
  comm_->issue(name_of(call.kind).data(), [&](ncclComm_t comm) { return put(call, comm, stream); });
  FlightStamper::finish(call, native);
}

ncclResult_t NcclCommunicator::put(const CollectiveCall& call, ncclComm_t comm, Stream& stream) {
  const cudaStream_t native = cuda::native(stream);
  const auto [type, count] = elements_of(call);
  const ncclRedOp_t operation = operation_of(call.operation);
  switch (call.kind) {
    case CollectiveKind::kAllReduce:
      return ncclAllReduce(call.to, call.to, count, type, operation, comm, native);
    case CollectiveKind::kReduceScatter:
      return ncclReduceScatter(call.from, call.to, count, type, operation, comm, native);
    case CollectiveKind::kAllGather:
      return ncclAllGather(call.from, call.to, count, type, comm, native);
    case CollectiveKind::kAllToAll:
      return put_all_to_all(call, {type, count}, comm, native);
    case CollectiveKind::kBroadcast:
      return ncclBroadcast(call.to, call.to, count, type, call.root, comm, native);
    case CollectiveKind::kBarrier: {
      void* word = barrier_word(stream);
      return ncclAllReduce(word, word, 1, ncclUint32, ncclSum, comm, native);
    }
  }
  return ncclInvalidArgument;
}

/// Each rank's own block by NCCL as well, which copies it within the same kernel.
ncclResult_t NcclCommunicator::put_all_to_all(const CollectiveCall& call, const Elements& elements,
                                              ncclComm_t comm, cudaStream_t stream) const {
  if (call.count == 0) return ncclSuccess;
  const auto* from = static_cast<const std::byte*>(call.from);
  auto* to = static_cast<std::byte*>(call.to);
  ncclResult_t result = ncclGroupStart();
  for (int peer = 0; peer < size_ && result == ncclSuccess; ++peer) {
    const std::int64_t offset = peer * call.bytes();
    result = ncclSend(from + offset, elements.count, elements.type, peer, comm, stream);
    if (result != ncclSuccess) break;
    result = ncclRecv(to + offset, elements.count, elements.type, peer, comm, stream);
  }
  const ncclResult_t ended = ncclGroupEnd();
  return result == ncclSuccess ? ended : result;
}

/// Memory that NCCL reaches without copies; null where there is none left.
void* allocate_memory(std::size_t bytes) {
  void* data = nullptr;
  return ncclMemAlloc(&data, bytes) == ncclSuccess ? data : nullptr;
}

void release_memory(void* data) {
  (void)ncclMemFree(data);
}

}  // namespace

std::unique_ptr<Communicator> create_nccl_communicator(NcclOptions options) {
  FlightLog* log = options.log;
  const int rank = options.rank;
  const int size = options.size;
  auto shared = std::make_shared<Shared>(std::move(options));
  if (size > 1) {
    cuda::cuda_device(*shared->options.device)
        .set_shared_allocator({allocate_memory, release_memory});
  }
  auto communicator = std::make_unique<NcclCommunicator>(std::move(shared), rank, size);
  if (log != nullptr) communicator->watch(*log, "all");
  communicator->connect();
  return communicator;
}

}  // namespace ingot
