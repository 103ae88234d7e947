#include "nccl/perform.hpp"

#include <poll.h>

#include <cstring>
#include <span>

#include "cudart/regions.hpp"
#include "machine/machine.hpp"
#include "nccl/faults.hpp"

namespace gpusim::nccl {

namespace {

std::byte* host(const void* device_memory) {
  if (device_memory == nullptr) return nullptr;
  return cudart::host_address(reinterpret_cast<std::uintptr_t>(device_memory));
}

std::string text_of(const Description& description) {
  const auto kind = static_cast<Kind>(description.kind);
  std::string text = name_of(kind);
  text += " of " + std::to_string(description.count) + " " +
          name_of(static_cast<ncclDataType_t>(description.type));
  if (kind == Kind::kAllReduce || kind == Kind::kReduce || kind == Kind::kReduceScatter) {
    text += std::string(" (") + name_of(static_cast<ncclRedOp_t>(description.operation)) + ")";
  }
  return text;
}

/// One call on its way.
class Exchange {
 public:
  Exchange(CommunicatorState& state, Mesh& mesh, const Call& call, std::uint64_t run)
      : state_(state), mesh_(mesh), call_(call), run_(run) {
    description_ = {.kind = static_cast<std::int32_t>(call.kind),
                    .type = call.type,
                    .operation = call.reduction.operation,
                    .root = call.root,
                    .count = call.count};
    if (!call.point_to_point()) return;
    description_.kind = static_cast<std::int32_t>(Kind::kSend);  // alike on both sides
    description_.root = 0;
  }

  bool collective() {
    contribute();
    for (int peer = 0; peer < mesh_.size(); ++peer) {
      const auto [data, count] = outgoing(peer);
      if (!mesh_.send(peer, key(0), description_, data, count * size())) return false;
    }
    std::vector<Message> messages;
    for (int peer = 0; peer < mesh_.size(); ++peer) {
      std::optional<Message> message = take(peer, 0);
      if (!message) return false;
      messages.push_back(std::move(*message));
    }
    place(messages);
    return call_.kind != Kind::kAllReduce || share_blocks();
  }

  bool send() {
    return mesh_.send(call_.root, key(0), description_, host(call_.from), call_.bytes());
  }
  bool receive() {
    const std::optional<Message> message = take(call_.root, 0);
    if (!message) return false;
    if (call_.count > 0) std::memcpy(host(call_.to), message->data.data(), call_.bytes());
    return mesh_.send(call_.root, key(1), description_, nullptr, 0);
  }
  bool wait_for_receiver() { return mesh_.receive(call_.root, key(1)).has_value(); }

 private:
  std::size_t size() const { return size_of(call_.type); }

  /// Numbers of collectives and of what a pair of ranks sends are counted apart.
  MessageKey key(std::uint64_t part) const {
    return {2 * call_.number + (call_.point_to_point() ? 1 : 0), run_, part};
  }

  /// What this rank gives: its buffer, or a scaled copy.
  void contribute() {
    from_ = host(call_.from);
    if (!call_.reduction.scaled || call_.count == 0) return;
    const auto blocks =
        static_cast<std::size_t>(call_.kind == Kind::kReduceScatter ? mesh_.size() : 1);
    scaled_.resize(blocks * call_.bytes());
    scale(call_.type, call_.reduction.factor, from_, blocks * call_.count, scaled_.data());
    from_ = scaled_.data();
  }

  /// First element of a rank's block of an all-reduce.
  std::size_t block_begin(int block) const {
    return call_.count * static_cast<std::size_t>(block) / static_cast<std::size_t>(mesh_.size());
  }
  std::size_t block_count(int block) const { return block_begin(block + 1) - block_begin(block); }

  std::pair<const std::byte*, std::size_t> outgoing(int peer) const {
    const bool root = call_.root == state_.rank;
    const bool to_root = call_.root == peer;
    const std::size_t block = static_cast<std::size_t>(peer) * call_.bytes();
    switch (call_.kind) {
      case Kind::kAllReduce:
        return {from_ + block_begin(peer) * size(), block_count(peer)};
      case Kind::kReduce:
      case Kind::kGather:
        return {from_, to_root ? call_.count : 0};
      case Kind::kReduceScatter:
      case Kind::kAllToAll:
        return {from_ + block, call_.count};
      case Kind::kAllGather:
        return {from_, call_.count};
      case Kind::kBroadcast:
        return {from_, root ? call_.count : 0};
      case Kind::kScatter:
        return {root ? from_ + block : nullptr, root ? call_.count : 0};
      default:
        return {nullptr, 0};
    }
  }

  /// A message of a peer that means the same call; nothing where the communicator was stopped.
  std::optional<Message> take(int peer, std::uint64_t part) {
    std::optional<Message> message = mesh_.receive(peer, key(part));
    if (!message || message->description == description_) return message;
    const std::string text = "rank " + std::to_string(peer) + " calls " +
                             text_of(message->description) + ", rank " +
                             std::to_string(state_.rank) + " " + text_of(description_) +
                             " as number " + std::to_string(call_.number);
    report_problem("collective mismatch", text);
    state_.fail(ncclInvalidUsage, text);
    return std::nullopt;
  }

  void place(const std::vector<Message>& messages) {
    if (call_.count == 0) return;
    const bool root = call_.root == state_.rank;
    std::byte* to = host(call_.to);
    switch (call_.kind) {
      case Kind::kAllReduce:
        return sum(messages, block_count(state_.rank), to + block_begin(state_.rank) * size());
      case Kind::kReduceScatter:
        return sum(messages, call_.count, to);
      case Kind::kReduce:
        return root ? sum(messages, call_.count, to) : void();
      case Kind::kBroadcast:
      case Kind::kScatter:
        std::memcpy(to, messages[static_cast<std::size_t>(call_.root)].data.data(), call_.bytes());
        return;
      case Kind::kGather:
        if (!root) return;
        [[fallthrough]];
      case Kind::kAllGather:
      case Kind::kAllToAll:
        for (std::size_t peer = 0; peer < messages.size(); ++peer) {
          std::memcpy(to + peer * call_.bytes(), messages[peer].data.data(), call_.bytes());
        }
        return;
      default:
        return;
    }
  }

  void sum(const std::vector<Message>& messages, std::size_t count, std::byte* to) const {
    std::vector<const std::byte*> contributions;
    for (const Message& message : messages) contributions.push_back(message.data.data());
    reduce(call_.type, call_.reduction.operation, contributions, count, to);
  }

  /// The second half of an all-reduce: everybody's sums to everybody.
  bool share_blocks() {
    std::byte* to = host(call_.to);
    const std::size_t mine = block_begin(state_.rank) * size();
    for (int peer = 0; peer < mesh_.size(); ++peer) {
      if (peer == state_.rank) continue;
      const std::size_t bytes = block_count(state_.rank) * size();
      if (!mesh_.send(peer, key(1), description_, to + mine, bytes)) return false;
    }
    for (int peer = 0; peer < mesh_.size(); ++peer) {
      if (peer == state_.rank) continue;
      const std::optional<Message> message = take(peer, 1);
      if (!message) return false;
      const std::size_t bytes = block_count(peer) * size();
      if (bytes > 0) std::memcpy(to + block_begin(peer) * size(), message->data.data(), bytes);
    }
    return true;
  }

  CommunicatorState& state_;
  Mesh& mesh_;
  const Call& call_;
  std::uint64_t run_;
  Description description_;
  const std::byte* from_ = nullptr;
  std::vector<std::byte> scaled_;
};

/// False where a fault keeps the call from ever being complete.
bool inject_faults(CommunicatorState& state, Mesh& mesh, const Call& call) {
  for (const InjectedFault& fault : injected_faults()) {
    if (fault.rank != state.rank) continue;
    const bool here = fault.operation == call.index;
    switch (fault.kind) {
      case InjectedFault::Kind::kDelay:
        ::poll(nullptr, 0, fault.milliseconds);
        break;
      case InjectedFault::Kind::kCut:
        if (here && fault.peer < mesh.size() && fault.peer != state.rank) mesh.cut(fault.peer);
        break;
      case InjectedFault::Kind::kHang:
        if (here) return false;
        break;
      case InjectedFault::Kind::kFail:
        if (!here) break;
        state.fail(ncclSystemError, "a fault was injected into " + std::string(name_of(call.kind)));
        return false;
    }
  }
  return true;
}

bool exchange_all(CommunicatorState& state, Mesh& mesh, const std::vector<Call>& calls,
                  std::uint64_t run) {
  const auto each = [&](auto wanted, auto act) {
    for (const Call& call : calls) {
      Exchange exchange(state, mesh, call, run);
      if (wanted(call.kind) && !act(exchange)) return false;
    }
    return true;
  };
  const auto is_send = [](Kind kind) { return kind == Kind::kSend; };
  const auto is_receive = [](Kind kind) { return kind == Kind::kReceive; };
  const auto is_collective = [&](Kind kind) { return !is_send(kind) && !is_receive(kind); };
  for (const Call& call : calls) {
    if (!inject_faults(state, mesh, call)) return false;
  }
  return each(is_send, [](Exchange& exchange) { return exchange.send(); }) &&
         each(is_collective, [](Exchange& exchange) { return exchange.collective(); }) &&
         each(is_receive, [](Exchange& exchange) { return exchange.receive(); }) &&
         each(is_send, [](Exchange& exchange) { return exchange.wait_for_receiver(); });
}

}  // namespace

bool perform(CommunicatorState& state, const std::vector<Call>& calls, std::uint64_t run) {
  const std::shared_ptr<Mesh> mesh = state.mesh();
  if (exchange_all(state, *mesh, calls, run)) return true;
  mesh->wait_until_stopped();
  return false;
}

}  // namespace gpusim::nccl
