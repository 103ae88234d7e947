#include "nccl/communicator.hpp"

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "nccl/bootstrap.hpp"

namespace gpusim::nccl {

namespace {

bool talks() {
  const char* level = std::getenv("NCCL_DEBUG");
  const std::string_view text = level == nullptr ? "" : level;
  return text == "WARN" || text == "INFO" || text == "TRACE";
}

std::mutex refusal_mutex;
std::string& refusal_text() {
  static std::string* text = new std::string;
  return *text;
}

}  // namespace

std::shared_ptr<Mesh> CommunicatorState::mesh() const {
  const std::lock_guard lock(mutex_);
  return mesh_;
}

void CommunicatorState::set_mesh(std::shared_ptr<Mesh> mesh) {
  const std::lock_guard lock(mutex_);
  if (aborted_.load()) mesh->stop();
  mesh_ = std::move(mesh);
}

void CommunicatorState::explain(const std::string& text) {
  if (talks()) std::fprintf(stderr, "gpusim: nccl: rank %d: %s\n", rank, text.c_str());
  const std::lock_guard lock(mutex_);
  last_error_ = text;
}

void CommunicatorState::fail(ncclResult_t result, const std::string& text) {
  ncclResult_t before = result_.load();
  while (before == ncclSuccess || before == ncclInProgress) {
    if (!result_.compare_exchange_weak(before, result)) continue;
    explain(text);
    return;
  }
}

std::string CommunicatorState::last_error() const {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

void CommunicatorState::abort() {
  aborted_.store(true, std::memory_order_release);
  if (const std::shared_ptr<Mesh> peers = mesh()) peers->stop();
}

void CommunicatorState::begin_work() {
  const std::lock_guard lock(mutex_);
  ++working_;
}

void CommunicatorState::end_work() {
  const std::lock_guard lock(mutex_);
  --working_;
  idle_.notify_all();
}

void CommunicatorState::wait_for_work() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [&] { return working_ == 0; });
}

void CommunicatorState::leave() {
  wait_for_work();
  std::unique_lock lock(mutex_);
  if (std::exchange(left_, true) || !mesh_) return;
  const std::shared_ptr<Mesh> peers = mesh_;
  lock.unlock();
  if (!peers->stopped()) peers->say_goodbye();
}

bool is_communicator(const ncclComm* communicator) {
  return communicator != nullptr && communicator->magic == ncclComm::kMagic;
}

ncclResult_t refuse(ncclComm* communicator, ncclResult_t result, const std::string& text) {
  if (is_communicator(communicator)) {
    communicator->state->explain(text);
  } else if (talks()) {
    std::fprintf(stderr, "gpusim: nccl: %s\n", text.c_str());
  }
  const std::lock_guard lock(refusal_mutex);
  refusal_text() = text;
  return result;
}

const char* last_refusal() {
  const std::lock_guard lock(refusal_mutex);
  thread_local std::string copy;
  copy = refusal_text();
  return copy.c_str();
}

void initialise(const std::shared_ptr<CommunicatorState>& state, const ncclUniqueId& id,
                int device) {
  std::string why;
  Peers found = find_peers(id, state->rank, state->ranks, device, state->aborted(), why);
  if (found.sockets.empty()) {
    const bool ours = state->aborted().load();
    state->fail(ours                      ? ncclInternalError
                : why.starts_with("lost") ? ncclRemoteError
                                          : ncclInvalidUsage,
                ours ? "aborted while it was initialised" : why);
    return;
  }
  const std::weak_ptr<CommunicatorState> weak = state;
  state->set_mesh(std::make_shared<Mesh>(state->rank, std::move(found), [weak](int peer) {
    if (const auto shared = weak.lock()) {
      shared->fail(ncclRemoteError, "lost the connection to rank " + std::to_string(peer));
    }
  }));
  ncclResult_t expected = ncclInProgress;
  if (state->result() == expected) state->set_result(ncclSuccess);
}

}  // namespace gpusim::nccl
