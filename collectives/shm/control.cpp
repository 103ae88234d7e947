#include "collectives/shm/control.hpp"

#include <array>
#include <cstring>

#include "ops/base/error.hpp"

namespace ingot::shm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

/// Status lines and the failure word, in whole pages.
std::int64_t head_bytes(int ranks) {
  const auto bytes = static_cast<std::int64_t>(sizeof(RankStatus)) * (ranks + 1);
  return (bytes + 4095) / 4096 * 4096;
}
std::int64_t lanes_end(int ranks) {
  return head_bytes(ranks) + kLanes * Slot::bytes(ranks);
}

}  // namespace

File Control::create(int ranks) {
  return create_memory("ingot collectives", lanes_end(ranks) + kRecorded * Slot::bytes(ranks));
}

Control::Control(File file, int ranks)
    : file_(std::move(file)),
      ranks_(ranks),
      mapping_(file_.get(), 0, lanes_end(ranks), /*populate=*/true) {
  failure_ = reinterpret_cast<std::atomic<std::uint64_t>*>(mapping_.data());
  status_ = reinterpret_cast<RankStatus*>(mapping_.data()) + 1;
  lanes_ = mapping_.data() + head_bytes(ranks);
}

Slot Control::slot(std::uint32_t number) {
  const std::int64_t bytes = Slot::bytes(ranks_);
  if (number < kLanes) return {lanes_ + number * bytes, ranks_};
  const std::uint32_t recorded = number - kLanes;
  ensure(recorded < kRecorded, "fewer recorded collectives");
  const std::scoped_lock lock(mutex_);
  while (recorded_.size() <= recorded) {
    const auto next = static_cast<std::int64_t>(recorded_.size());
    recorded_.emplace_back(file_.get(), lanes_end(ranks_) + next * bytes, bytes, false);
  }
  return {recorded_[recorded].data(), ranks_};
}

std::uint32_t shape_of(const CollectiveCall& call) {
  return static_cast<std::uint32_t>(call.kind) | static_cast<std::uint32_t>(call.type) << 8 |
         static_cast<std::uint32_t>(call.operation) << 16;
}

void write_call(Desk& desk, const CollectiveCall& call) {
  desk.shape.store(shape_of(call), kRelaxed);
  desk.root.store(call.root, kRelaxed);
  desk.count.store(static_cast<std::uint64_t>(call.count), kRelaxed);
  desk.sequence.store(call.sequence, kRelaxed);
  std::array<std::uint64_t, Desk::kLabelWords> label{};
  strncpy(reinterpret_cast<char*>(label.data()), call.label.what, sizeof(label) - 1);
  for (std::size_t i = 0; i < label.size(); ++i) desk.label[i].store(label[i], kRelaxed);
  desk.label_index.store(call.label.index, kRelaxed);
}

bool same_call(const Desk& desk, const CollectiveCall& call) {
  return desk.shape.load(kRelaxed) == shape_of(call) && desk.root.load(kRelaxed) == call.root &&
         desk.count.load(kRelaxed) == static_cast<std::uint64_t>(call.count);
}

std::string describe_desk(const Desk& desk) {
  std::array<std::uint64_t, Desk::kLabelWords> label{};
  for (std::size_t i = 0; i < label.size(); ++i) label[i] = desk.label[i].load(kRelaxed);
  std::array<char, sizeof(label)> text{};
  std::memcpy(text.data(), label.data(), text.size() - 1);
  for (char& c : text) {
    if (c != 0 && (c < ' ' || c > '~')) c = '?';
  }
  const std::uint32_t shape = desk.shape.load(kRelaxed);
  const auto byte = [shape](int position) {
    return static_cast<std::uint8_t>(shape >> (8 * position));
  };
  if (byte(0) > static_cast<std::uint8_t>(CollectiveKind::kBarrier) ||
      byte(1) > static_cast<std::uint8_t>(DType::kI64) ||
      byte(2) > static_cast<std::uint8_t>(ReduceOperation::kMax)) {
    return "something unknown";
  }
  const CollectiveCall call{.kind = static_cast<CollectiveKind>(byte(0)),
                            .label = {text.data(), desk.label_index.load(kRelaxed)},
                            .count = static_cast<std::int64_t>(desk.count.load(kRelaxed)),
                            .type = static_cast<DType>(byte(1)),
                            .operation = static_cast<ReduceOperation>(byte(2)),
                            .root = desk.root.load(kRelaxed)};
  return fmt::format("collective {}, {}", desk.sequence.load(kRelaxed), describe(call));
}

}  // namespace ingot::shm
