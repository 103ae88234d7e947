#include "nccl/communicator.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "nccl/bootstrap.hpp"
#include "nccl/choices.hpp"
#include "nccl/log.hpp"

namespace gpusim::nccl {

namespace {

std::mutex refusal_mutex;
std::string& refusal_text() {
  static std::string* text = new std::string;
  return *text;
}

/// A number of the communicator that is the same on all of its ranks.
std::string hash_of(const ncclUniqueId& id) {
  const std::string_view bytes(static_cast<const char*>(id.internal), sizeof id.internal);
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "0x%zx", std::hash<std::string_view>()(bytes));
  return text.data();
}

std::string title(const CommunicatorState& state, const ncclUniqueId& id, const char* call) {
  return std::string(call) + " rank " + std::to_string(state.rank) + " nranks " +
         std::to_string(state.ranks) + " cudaDev " + std::to_string(state.device) + " nvmlDev " +
         std::to_string(state.device) + " commId " + hash_of(id);
}

std::string place_of(const CommunicatorState& state, const std::vector<std::uint64_t>& hosts) {
  const std::uint64_t host = hosts[static_cast<std::size_t>(state.rank)];
  const auto begin = hosts.begin();
  const std::set<std::uint64_t> nodes(begin, hosts.end());
  return "comm rank " + std::to_string(state.rank) + " nRanks " + std::to_string(state.ranks) +
         " nNodes " + std::to_string(nodes.size()) + " localRanks " +
         std::to_string(std::count(begin, hosts.end(), host)) + " localRank " +
         std::to_string(std::count(begin, begin + state.rank, host)) + " MNNVL 0";
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
  log_warning(device, "rank " + std::to_string(rank) + ": " + text);
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
  } else {
    log_warning(-1, text);
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
                const char* call) {
  std::string why;
  const int device = state->device;
  log_start(device);
  const std::string what = title(*state, id, call);
  log_info(Subsystem::kInit, device, what + " - Init START");
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
  std::vector<std::uint64_t> hosts;
  for (const Peer& peer : found.peers) hosts.push_back(peer.host);
  log_info(Subsystem::kInit, device, place_of(*state, hosts));
  log_rings_and_trees(state->rank, device, hosts);
  state->set_mesh(std::make_shared<Mesh>(state->rank, std::move(found), [weak](int peer) {
    if (const auto shared = weak.lock()) {
      shared->fail(ncclRemoteError, "lost the connection to rank " + std::to_string(peer));
    }
  }));
  ncclResult_t expected = ncclInProgress;
  if (state->result() != expected) return;
  log_info(Subsystem::kInit, device, what + " - Init COMPLETE");
  state->set_result(ncclSuccess);
}

}  // namespace gpusim::nccl
