#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "collectives/nccl/check.hpp"
#include "collectives/nccl/comm.hpp"

namespace ingot::nccl {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr Seconds kAbortWait{1};    ///< for a call into NCCL that another thread makes
constexpr Seconds kGoodbyeWait{5};  ///< for exchanges of a communicator that is left

ncclConfig_t without_blocking() {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  return config;
}

/// Asks until NCCL is no longer busy or the time is over; 0: for ever.
ncclResult_t poll(ncclComm_t comm, ncclResult_t result, double timeout,
                  const std::atomic<bool>& aborted) {
  const Clock::time_point begin = Clock::now();
  // Most answers come at once; connecting takes seconds, in which others want the core.
  std::chrono::microseconds pause{0};
  while (result == ncclInProgress && !aborted.load()) {
    if (timeout > 0 && Clock::now() - begin > Seconds(timeout)) break;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause + std::chrono::microseconds(20), std::chrono::microseconds(2000));
    ncclResult_t state = ncclInProgress;
    const ncclResult_t asked = ncclCommGetAsyncError(comm, &state);
    result = asked == ncclSuccess ? state : asked;
  }
  return result;
}

}  // namespace

Comm::Comm(ncclComm_t comm, std::string who) : comm_(comm), who_(std::move(who)) {}

std::unique_ptr<Comm> Comm::create(const ncclUniqueId& id, int size, int rank, double timeout,
                                   const std::string& who) {
  ncclConfig_t config = without_blocking();
  ncclComm_t raw = nullptr;
  const ncclResult_t result = ncclCommInitRankConfig(&raw, size, id, rank, &config);
  std::unique_ptr<Comm> comm(new Comm(raw, who));
  comm->settle(result, "ncclCommInitRankConfig", timeout);
  comm->learn_place();
  return comm;
}

std::unique_ptr<Comm> Comm::split(int color, int key, double timeout) {
  const std::scoped_lock lock(mutex_);
  ensure_open("ncclCommSplit");
  ncclConfig_t config = without_blocking();
  ncclComm_t raw = nullptr;
  settle(ncclCommSplit(comm_, color, key, &raw, &config), "ncclCommSplit", timeout);
  std::unique_ptr<Comm> part(new Comm(raw, who_));
  part->settle(ncclInProgress, "ncclCommSplit", timeout);
  part->learn_place();
  return part;
}

Comm::~Comm() {
  if (comm_ == nullptr || aborted_.load()) return;
  if (!broken_.load()) {
    const ncclResult_t result =
        poll(comm_, ncclCommFinalize(comm_), kGoodbyeWait.count(), aborted_);
    if (result == ncclSuccess) {
      (void)ncclCommDestroy(comm_);
      return;
    }
  }
  (void)ncclCommAbort(comm_);
}

void Comm::learn_place() {
  check(ncclCommUserRank(comm_, &rank_), "ncclCommUserRank");
  check(ncclCommCount(comm_, &size_), "ncclCommCount");
}

void Comm::ensure_open(const char* what) const {
  if (!aborted_.load()) return;
  fail(ExitCode::kTimeout, "{}: {} after exchanges were given up", who_, what);
}

void Comm::settle(ncclResult_t result, const char* what, double timeout) {
  if (result == ncclInProgress) result = poll(comm_, result, timeout, aborted_);
  if (result != ncclSuccess) raise(result, what);
}

void Comm::raise(ncclResult_t result, const char* what) {
  broken_.store(true);
  if (result == ncclInProgress) {
    fail(ExitCode::kTimeout, "{}: {} is not done in time", who_, what);
  }
  fail(exit_code_of(result), "{}: {} failed: {}", who_, what, text_of(result, comm_));
}

void* Comm::register_memory(void* data, std::int64_t bytes) {
  void* handle = nullptr;
  issue("ncclCommRegister", [&](ncclComm_t comm) {
    return ncclCommRegister(comm, data, static_cast<std::size_t>(bytes), &handle);
  });
  return handle;
}

void Comm::deregister(void* handle) {
  issue("ncclCommDeregister", [&](ncclComm_t comm) { return ncclCommDeregister(comm, handle); });
}

std::optional<Error> Comm::background_error() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || aborted_.load()) return std::nullopt;
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(comm_, &state);
  const ncclResult_t result = asked == ncclSuccess ? state : asked;
  if (result == ncclSuccess || result == ncclInProgress) return std::nullopt;
  broken_.store(true);
  return Error(exit_code_of(result),
               fmt::format("{}: NCCL reports: {}", who_, text_of(result, comm_)));
}

void Comm::abort() {
  if (aborted_.exchange(true)) return;
  const std::unique_lock lock(mutex_, kAbortWait);
  (void)ncclCommAbort(comm_);
}

}  // namespace ingot::nccl
