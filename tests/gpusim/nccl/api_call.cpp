// The collectives, send and receive, groups, reductions of one's own, and memory.
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstring>
#include <mutex>
#include <set>

#include "cudart/internal.hpp"
#include "cudart/regions.hpp"
#include "nccl/group.hpp"
#include "nccl/log.hpp"
#include "report/traffic.hpp"

using namespace gpusim::nccl;

namespace {

/// A reduction by its number: a built-in one or one of the communicator's.
Reduction reduction_of(const ncclComm* communicator, ncclRedOp_t operation) {
  if (is_communicator(communicator)) {
    const auto found = communicator->reductions.find(operation);
    if (found != communicator->reductions.end()) return found->second;
  }
  return {.operation = operation};
}

/// Memory that communicators of this process have registered, by address, for the check that none
/// is freed meanwhile.
class Registered {
 public:
  void add(const void* data) {
    const std::lock_guard lock(mutex_);
    addresses_.insert(data);
  }
  void remove(const void* data) {
    const std::lock_guard lock(mutex_);
    const auto found = addresses_.find(data);
    if (found != addresses_.end()) addresses_.erase(found);
  }
  bool has(const void* data) const {
    const std::lock_guard lock(mutex_);
    return addresses_.contains(data);
  }

 private:
  mutable std::mutex mutex_;
  std::multiset<const void*> addresses_;
};

Registered& registered() {
  static Registered* all = new Registered;
  return *all;
}

}  // namespace

extern "C" {

ncclResult_t ncclGroupStart() {
  begin_group();
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  return end_group();
}

ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type,
                           ncclRedOp_t operation, ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, {.kind = Kind::kAllReduce,
                       .from = from,
                       .to = to,
                       .count = count,
                       .type = type,
                       .reduction = reduction_of(comm, operation),
                       .stream = stream});
}

ncclResult_t ncclReduce(const void* from, void* to, size_t count, ncclDataType_t type,
                        ncclRedOp_t operation, int root, ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, {.kind = Kind::kReduce,
                       .from = from,
                       .to = to,
                       .count = count,
                       .type = type,
                       .reduction = reduction_of(comm, operation),
                       .root = root,
                       .stream = stream});
}

ncclResult_t ncclReduceScatter(const void* from, void* to, size_t count, ncclDataType_t type,
                               ncclRedOp_t operation, ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, {.kind = Kind::kReduceScatter,
                       .from = from,
                       .to = to,
                       .count = count,
                       .type = type,
                       .reduction = reduction_of(comm, operation),
                       .stream = stream});
}

ncclResult_t ncclBroadcast(const void* from, void* to, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, {.kind = Kind::kBroadcast,
                       .from = from,
                       .to = to,
                       .count = count,
                       .type = type,
                       .root = root,
                       .stream = stream});
}

ncclResult_t ncclBcast(void* data, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                       cudaStream_t stream) {
  return ncclBroadcast(data, data, count, type, root, comm, stream);
}

ncclResult_t ncclAllGather(const void* from, void* to, size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, {.kind = Kind::kAllGather,
                       .from = from,
                       .to = to,
                       .count = count,
                       .type = type,
                       .stream = stream});
}

ncclResult_t ncclAlltoAll(const void* from, void* to, size_t count, ncclDataType_t type,
                          ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, {.kind = Kind::kAllToAll,
                       .from = from,
                       .to = to,
                       .count = count,
                       .type = type,
                       .stream = stream});
}

ncclResult_t ncclGather(const void* from, void* to, size_t count, ncclDataType_t type, int root,
                        ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, {.kind = Kind::kGather,
                       .from = from,
                       .to = to,
                       .count = count,
                       .type = type,
                       .root = root,
                       .stream = stream});
}

ncclResult_t ncclScatter(const void* from, void* to, size_t count, ncclDataType_t type, int root,
                         ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, {.kind = Kind::kScatter,
                       .from = from,
                       .to = to,
                       .count = count,
                       .type = type,
                       .root = root,
                       .stream = stream});
}

ncclResult_t ncclSend(const void* from, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, {.kind = Kind::kSend,
                       .from = from,
                       .count = count,
                       .type = type,
                       .root = peer,
                       .stream = stream});
}

ncclResult_t ncclRecv(void* to, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return submit(comm, {.kind = Kind::kReceive,
                       .to = to,
                       .count = count,
                       .type = type,
                       .root = peer,
                       .stream = stream});
}

ncclResult_t ncclRedOpCreatePreMulSum(ncclRedOp_t* operation, void* scalar, ncclDataType_t type,
                                      ncclScalarResidence_t residence, ncclComm_t comm) {
  if (!is_communicator(comm) || operation == nullptr || scalar == nullptr || !can_reduce(type)) {
    return refuse(comm, ncclInvalidArgument, "ncclRedOpCreatePreMulSum: an argument is not valid");
  }
  std::byte value[sizeof(double)] = {};
  if (residence == ncclScalarDevice) {
    if (cudaMemcpy(value, scalar, size_of(type), cudaMemcpyDeviceToHost) != cudaSuccess) {
      return refuse(comm, ncclUnhandledCudaError, "cannot read the scalar");
    }
  } else {
    std::memcpy(value, scalar, size_of(type));
  }
  const int number = comm->next_reduction++;
  comm->reductions[number] = {
      .operation = ncclSum, .scaled = true, .factor = to_double(type, value)};
  *operation = static_cast<ncclRedOp_t>(number);
  return ncclSuccess;
}

ncclResult_t ncclRedOpDestroy(ncclRedOp_t operation, ncclComm_t comm) {
  if (!is_communicator(comm) || comm->reductions.erase(operation) == 0) {
    return refuse(comm, ncclInvalidArgument, "not a reduction of this communicator");
  }
  return ncclSuccess;
}

ncclResult_t ncclMemAlloc(void** memory, size_t bytes) {
  if (memory == nullptr) return refuse(nullptr, ncclInvalidArgument, "ptr is null");
  if (cudaMalloc(memory, bytes) != cudaSuccess) {
    return refuse(nullptr, ncclUnhandledCudaError, "out of memory");
  }
  gpusim::cudart::forbid_export(*memory);
  gpusim::report::add_library_memory("allocated", bytes);
  return ncclSuccess;
}

ncclResult_t ncclMemFree(void* memory) {
  if (memory != nullptr) gpusim::report::add_library_memory("freed", 0);
  if (registered().has(memory)) {
    gpusim::report_problem("registered memory freed",
                           "ncclMemFree of memory that a communicator still has registered");
  }
  return cudaFree(memory) == cudaSuccess
             ? ncclSuccess
             : refuse(nullptr, ncclUnhandledCudaError, "not memory of this library");
}

ncclResult_t ncclCommRegister(const ncclComm_t comm, void* data, size_t bytes, void** handle) {
  if (!is_communicator(comm) || data == nullptr || bytes == 0 || handle == nullptr) {
    return refuse(comm, ncclInvalidArgument, "ncclCommRegister: an argument is not valid");
  }
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  if (gpusim::cudart::host_address(address) == nullptr) {
    return refuse(comm, ncclInvalidUsage, "ncclCommRegister: not memory of a device");
  }
  *handle = data;
  comm->registered.emplace(data, address);
  registered().add(data);
  gpusim::report::add_library_memory("registered", bytes);
  log_info(Subsystem::kRegister, comm->device,
           "ncclCommRegister of " + std::to_string(bytes) + " bytes");
  return ncclSuccess;
}

ncclResult_t ncclCommDeregister(const ncclComm_t comm, void* handle) {
  if (!is_communicator(comm) || comm->registered.erase(handle) == 0) {
    return refuse(comm, ncclInvalidArgument, "ncclCommDeregister: not registered");
  }
  registered().remove(handle);
  gpusim::report::add_library_memory("deregistered", 0);
  return ncclSuccess;
}

}  // extern "C"
