#include "runtime/checkpoint/snapshot.hpp"

#include <algorithm>
#include <cstring>

#include "ops/base/error.hpp"
#include "runtime/checkpoint/pieces.hpp"

namespace ingot {

std::int64_t snapshot_bytes(const StateView& state, int rank, int ranks) {
  std::int64_t elements = 0;
  for (const StateKind& kind : state.kinds) {
    elements += element_count(without_places(pieces_to_save(state.layout, kind, rank, ranks)));
  }
  return elements * static_cast<std::int64_t>(sizeof(float));
}

StateSnapshot::StateSnapshot(Device& device, const StateView& state, int rank, int ranks)
    : device_(device),
      rank_(rank),
      ranks_(ranks),
      stream_(device.create_stream("checkpoint")),
      copied_(device.create_event()),
      view_{state.layout, {}} {
  const std::int64_t bytes = snapshot_bytes(state, rank, ranks);
  if (bytes == 0) return;
  buffer_ = device.allocate_host(bytes, "checkpoint");
  // The pages exist from now on, so that no save waits for them or fails for want of them.
  std::memset(buffer_.data(), 0, static_cast<std::size_t>(bytes));
}

void StateSnapshot::take(const StateView& state) {
  view_.kinds.clear();
  auto* const start = static_cast<float*>(buffer_.data());
  float* to = start;
  for (const StateKind& kind : state.kinds) {
    StateKind copy{kind.name};
    copy.values = std::span(to, start + buffer_.bytes() / sizeof(float));
    std::int64_t local = 0;
    for (const auto& [piece, from] : pieces_to_save(state.layout, kind, rank_, ranks_)) {
      ensure(local + piece.count <= static_cast<std::int64_t>(copy.values.size()),
             "a snapshot as large as the state");
      device_.copy(*stream_, to, kind.values.data() + from,
                   piece.count * static_cast<std::int64_t>(sizeof(float)));
      const std::int64_t flat =
          state.layout.offsets[static_cast<std::size_t>(piece.tensor)] + piece.offset;
      copy.held.push_back({flat, local, piece.count});
      local += piece.count;
      to += piece.count;
    }
    std::ranges::sort(copy.held, {}, &HeldRange::flat);
    if (copy.held.empty()) copy.held.push_back({0, 0, 0});
    view_.kinds.push_back(std::move(copy));
  }
  stream_->record(*copied_);
}

void StateSnapshot::wait() {
  copied_->synchronize();
  stream_->throw_error();
}

}  // namespace ingot
