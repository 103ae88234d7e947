// Making, asking and ending communicators.
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <memory>
#include <thread>

#include "cudart/internal.hpp"
#include "nccl/bootstrap.hpp"
#include "nccl/communicator.hpp"
#include "nccl/group.hpp"
#include "nccl/split.hpp"

using namespace gpusim::nccl;

namespace {

constexpr unsigned kConfigMagic = 0xcafebeef;

/// Null, or what is wrong with a configuration; `blocking` keeps its value where it says nothing.
const char* read_config(const ncclConfig_t* config, bool& blocking) {
  if (config == nullptr) return nullptr;
  if (config->magic != kConfigMagic) return "ncclConfig_t was not set to NCCL_CONFIG_INITIALIZER";
  if (config->blocking == NCCL_CONFIG_UNDEF_INT) return nullptr;
  if (config->blocking != 0 && config->blocking != 1) return "ncclConfig_t.blocking is not 0 or 1";
  blocking = config->blocking == 1;
  return nullptr;
}

std::unique_ptr<ncclComm> make(int rank, int ranks, bool blocking, int device, int program_device) {
  auto communicator = std::make_unique<ncclComm>();
  communicator->device = device;
  communicator->program_device = program_device;
  communicator->blocking = blocking;
  communicator->state = std::make_shared<CommunicatorState>(rank, ranks, device);
  communicator->sends.resize(static_cast<std::size_t>(ranks));
  communicator->receives.resize(static_cast<std::size_t>(ranks));
  return communicator;
}

/// Runs the initialisation here, or for a non-blocking communicator on a thread of its own.
ncclResult_t start(ncclComm* communicator, const ncclUniqueId& id, const char* call) {
  const std::shared_ptr<CommunicatorState> state = communicator->state;
  if (!communicator->blocking) {
    communicator->initialisation = std::thread([state, id, call] { initialise(state, id, call); });
    return ncclInProgress;
  }
  initialise(state, id, call);
  return state->result();
}

int program_device() {
  int device = 0;
  cudaGetDevice(&device);
  return device;
}

ncclResult_t init_rank(ncclComm_t* result, int ranks, const ncclUniqueId& id, int rank,
                       const ncclConfig_t* config) {
  bool blocking = true;
  if (result == nullptr) return refuse(nullptr, ncclInvalidArgument, "comm is null");
  *result = nullptr;
  if (const char* problem = read_config(config, blocking)) {
    return refuse(nullptr, ncclInvalidArgument, problem);
  }
  if (ranks < 1 || rank < 0 || rank >= ranks) {
    return refuse(nullptr, ncclInvalidArgument,
                  "rank " + std::to_string(rank) + " of " + std::to_string(ranks) + " ranks");
  }
  cudaFree(nullptr);  // as the real library: the device is initialised here at the latest
  ncclComm* communicator =
      make(rank, ranks, blocking, gpusim::cudart::current_device(), program_device()).release();
  *result = communicator;
  return submit_start([communicator, id, config] {
    return start(communicator, id,
                 config == nullptr ? "ncclCommInitRank" : "ncclCommInitRankConfig");
  });
}

void end(ncclComm* communicator) {
  if (communicator->initialisation.joinable()) communicator->initialisation.join();
  communicator->magic = 0;
  delete communicator;
}

ncclResult_t not_one() {
  return refuse(nullptr, ncclInvalidArgument, "not a communicator");
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  if (version == nullptr) return refuse(nullptr, ncclInvalidArgument, "version is null");
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::string why;
  if (id == nullptr) return refuse(nullptr, ncclInvalidArgument, "uniqueId is null");
  return make_unique_id(*id, why) ? ncclSuccess : refuse(nullptr, ncclSystemError, why);
}

ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank) {
  return init_rank(comm, ranks, id, rank, nullptr);
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  return init_rank(comm, ranks, id, rank, config);
}

ncclResult_t ncclCommInitRankScalable(ncclComm_t* comm, int ranks, int rank, int ids,
                                      ncclUniqueId* id, ncclConfig_t* config) {
  if (ids < 1 || ids > ranks || id == nullptr) {
    return refuse(nullptr, ncclInvalidArgument, "nId is not between 1 and nranks");
  }
  return init_rank(comm, ranks, id[0], rank, config);  // one root serves as well as several
}

ncclResult_t ncclCommInitAll(ncclComm_t* comms, int devices, const int* list) {
  int present = 0;
  if (cudaGetDeviceCount(&present) != cudaSuccess) return ncclUnhandledCudaError;
  if (comms == nullptr || devices < 1 || devices > present) {
    return refuse(nullptr, ncclInvalidArgument,
                  std::to_string(devices) + " devices of " + std::to_string(present));
  }
  ncclUniqueId id;
  ncclResult_t result = ncclGetUniqueId(&id);
  const int before = program_device();
  begin_group();
  for (int rank = 0; rank < devices && result == ncclSuccess; ++rank) {
    if (cudaSetDevice(list == nullptr ? rank : list[rank]) != cudaSuccess) {
      result = refuse(nullptr, ncclInvalidArgument, "devlist names a device that is not there");
      break;
    }
    result = init_rank(&comms[rank], devices, id, rank, nullptr);
  }
  const ncclResult_t ended = end_group();
  cudaSetDevice(before);
  return result == ncclSuccess ? ended : result;
}

ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t* result,
                           ncclConfig_t* config) {
  if (!is_communicator(comm)) return not_one();
  bool blocking = comm->blocking;
  if (result == nullptr) return refuse(comm, ncclInvalidArgument, "newcomm is null");
  if (const char* problem = read_config(config, blocking)) {
    return refuse(comm, ncclInvalidArgument, problem);
  }
  if (color < 0 && color != NCCL_SPLIT_NOCOLOR) {
    return refuse(comm, ncclInvalidArgument, "a color below 0 that is not NCCL_SPLIT_NOCOLOR");
  }
  if (comm->state->result() != ncclSuccess) return comm->state->result();
  *result = nullptr;
  const std::uint64_t number = comm->collectives++;
  return submit_start([=] {
    SplitPlace place;
    std::string why;
    if (!agree_on_split(*comm->state->mesh(), number, color, key, place, why)) {
      return refuse(comm, ncclInternalError, why);
    }
    if (place.rank < 0) return ncclSuccess;
    // Agreeing is quick and blocks; connecting the new ranks is what may go on meanwhile.
    *result = make(place.rank, place.ranks, blocking, comm->device, comm->program_device).release();
    return start(*result, place.id, "ncclCommSplit");
  });
}

ncclResult_t ncclCommShrink(ncclComm_t comm, int* excluded, int excluded_count, ncclComm_t* result,
                            ncclConfig_t* config, int flags) {
  if (!is_communicator(comm)) return not_one();
  bool blocking = comm->blocking;
  if (result == nullptr) return refuse(comm, ncclInvalidArgument, "newcomm is null");
  *result = nullptr;
  if (const char* problem = read_config(config, blocking)) {
    return refuse(comm, ncclInvalidArgument, problem);
  }
  if (flags != NCCL_SHRINK_DEFAULT && flags != NCCL_SHRINK_ABORT) {
    return refuse(comm, ncclInvalidArgument, "shrinkFlags is unknown");
  }
  if (excluded_count < 1 || excluded_count >= comm->state->ranks || excluded == nullptr) {
    return refuse(comm, ncclInvalidArgument, "ncclCommShrink excludes nobody, or everybody");
  }
  std::vector<int> out(excluded, excluded + excluded_count);
  for (const int rank : out) {
    if (rank < 0 || rank >= comm->state->ranks || rank == comm->state->rank) {
      return refuse(comm, ncclInvalidArgument,
                    "ncclCommShrink cannot exclude rank " + std::to_string(rank) +
                        ": it is the caller, or not one of the communicator");
    }
  }
  if (comm->state->mesh() == nullptr) {
    return refuse(comm, ncclInvalidUsage, "ncclCommShrink before the communicator is ready");
  }
  if (flags == NCCL_SHRINK_DEFAULT && !comm->revoked && comm->state->result() != ncclSuccess) {
    return refuse(comm, comm->state->result(),
                  "the communicator has an error: shrink it with NCCL_SHRINK_ABORT");
  }
  const std::uint64_t attempt = comm->shrinks++;
  return submit_start([=] {
    if (flags == NCCL_SHRINK_ABORT) {
      comm->state->mesh()->interrupt();
      comm->state->wait_for_work();
    }
    SplitPlace place;
    std::string why;
    if (!agree_on_rest(*comm->state->mesh(), attempt, out, place, why)) {
      return refuse(comm, ncclInternalError, "ncclCommShrink: " + why);
    }
    *result = make(place.rank, place.ranks, blocking, comm->device, comm->program_device).release();
    return start(*result, place.id, "ncclCommShrink");
  });
}

ncclResult_t ncclCommRevoke(ncclComm_t comm, int flags) {
  if (!is_communicator(comm)) return not_one();
  if (flags != NCCL_REVOKE_DEFAULT) {
    return refuse(comm, ncclInvalidArgument, "revokeFlags is not NCCL_REVOKE_DEFAULT");
  }
  if (comm->state->mesh() == nullptr) {
    return refuse(comm, ncclInvalidUsage, "ncclCommRevoke before the communicator is ready");
  }
  comm->state->mesh()->interrupt();
  comm->state->wait_for_work();
  comm->revoked = true;
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  if (!is_communicator(comm)) return not_one();
  if (comm->revoked) return refuse(comm, ncclInvalidUsage, "the communicator was revoked");
  comm->state->leave();
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (comm == nullptr) return ncclSuccess;
  if (!is_communicator(comm)) return not_one();
  comm->state->leave();
  end(comm);
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  if (comm == nullptr) return ncclSuccess;
  if (!is_communicator(comm)) return not_one();
  comm->state->abort();
  comm->state->wait_for_work();
  end(comm);
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  if (!is_communicator(comm)) return not_one();
  if (error == nullptr) return refuse(comm, ncclInvalidArgument, "asyncError is null");
  *error = comm->state->result();
  return ncclSuccess;
}

ncclResult_t ncclCommCount(const ncclComm_t comm, int* count) {
  if (!is_communicator(comm) || count == nullptr) return not_one();
  *count = comm->state->ranks;
  return ncclSuccess;
}

ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int* device) {
  if (!is_communicator(comm) || device == nullptr) return not_one();
  *device = comm->program_device;
  return ncclSuccess;
}

ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* rank) {
  if (!is_communicator(comm) || rank == nullptr) return not_one();
  *rank = comm->state->rank;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInternalError:
      return "internal error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
    default:
      return "unknown result code";
  }
}

const char* ncclGetLastError(ncclComm_t comm) {
  if (!is_communicator(comm)) return last_refusal();
  thread_local std::string copy;
  copy = comm->state->last_error();
  return copy.c_str();
}

}  // extern "C"
