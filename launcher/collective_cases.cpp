#include "launcher/collective_cases.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include "collectives/element_types.hpp"
#include "ops/base/text.hpp"

namespace ingot {
namespace {

constexpr std::array kKinds = {CollectiveKind::kAllReduce, CollectiveKind::kReduceScatter,
                               CollectiveKind::kAllGather, CollectiveKind::kAllToAll,
                               CollectiveKind::kBroadcast};

/// Inputs repeat after so many elements; a prime, so that blocks of any power of two begin at
/// different places.
constexpr std::int64_t kPeriod = 61;

bool is_reduced(CollectiveKind kind) {
  return kind == CollectiveKind::kAllReduce || kind == CollectiveKind::kReduceScatter;
}

/// The largest input, so that sums over all ranks stay whole numbers in every type: bf16 has those
/// up to 256.
int bound_of(int ranks) {
  return std::clamp(127 / ranks, 1, 7);
}

/// What rank `rank` has at `place` of its input, between 0 and the bound.
int input_at(int rank, std::int64_t place, int ranks) {
  // Beyond 127 ranks only some have anything to add.
  if (ranks > 127 && rank % (ranks / 127 + 1) != 0) return 0;
  return static_cast<int>((place % kPeriod * 5 + std::int64_t{rank} * 3) % (bound_of(ranks) + 1));
}

/// Beyond every sum of inputs.
constexpr int kNoResult = 200;

/// A whole number for each place, the same again after kPeriod places.
using Value = std::function<int(std::int64_t place)>;

void append(std::vector<std::byte>& bytes, DType type, int value) {
  with_element_type(type, [&]<typename T>() {
    const auto element = static_cast<T>(static_cast<float>(value));  // exact in every type
    const auto* data = reinterpret_cast<const std::byte*>(&element);
    bytes.insert(bytes.end(), data, data + sizeof(T));
  });
}

/// A stretch of memory in which element i is value(i); moved in pieces of whole periods.
class Pattern {
 public:
  Pattern(DType type, const Value& value) : element_(size_of(type)) {
    constexpr std::int64_t kPeriods = 1024;
    std::vector<std::byte> period;
    for (std::int64_t i = 0; i < kPeriod; ++i) append(period, type, value(i));
    for (std::int64_t i = 0; i < kPeriods; ++i) {
      piece_.insert(piece_.end(), period.begin(), period.end());
    }
  }

  void write(void* to, std::int64_t count, HostTransfer& transfer) const {
    in_pieces(count, [&](std::int64_t offset, std::int64_t bytes) {
      transfer.write(static_cast<std::byte*>(to) + offset, piece_.data(), bytes);
    });
  }

  /// Elements that differ from the pattern.
  std::int64_t differences(const void* data, std::int64_t count, HostTransfer& transfer) const {
    std::vector<std::byte> found(piece_.size());
    std::int64_t wrong = 0;
    in_pieces(count, [&](std::int64_t offset, std::int64_t bytes) {
      transfer.read(found.data(), static_cast<const std::byte*>(data) + offset, bytes);
      if (std::memcmp(found.data(), piece_.data(), static_cast<std::size_t>(bytes)) == 0) return;
      for (std::int64_t at = 0; at < bytes; at += element_) {
        const auto size = static_cast<std::size_t>(element_);
        wrong += std::memcmp(found.data() + at, piece_.data() + at, size) != 0 ? 1 : 0;
      }
    });
    return wrong;
  }

 private:
  template <typename Work>
  void in_pieces(std::int64_t count, const Work& work) const {
    const auto piece = static_cast<std::int64_t>(piece_.size());
    for (std::int64_t done = 0; done < count * element_; done += piece) {
      work(done, std::min(piece, count * element_ - done));
    }
  }

  std::int64_t element_;
  std::vector<std::byte> piece_;
};

/// What block `block` of this rank's output should be.
Value expected_block(const CollectiveCase& use, int rank, int block) {
  const std::int64_t count = use.count;
  const int ranks = use.ranks;
  switch (use.kind) {
    case CollectiveKind::kBroadcast:
      return [ranks](std::int64_t place) { return input_at(0, place, ranks); };
    case CollectiveKind::kAllGather:
      return [ranks, block](std::int64_t place) { return input_at(block, place, ranks); };
    case CollectiveKind::kAllToAll:
      return [=](std::int64_t place) { return input_at(block, rank * count + place, ranks); };
    default: {
      const std::int64_t begin = use.kind == CollectiveKind::kReduceScatter ? rank * count : 0;
      return [=](std::int64_t place) {
        int sum = 0;
        for (int other = 0; other < ranks; ++other) sum += input_at(other, begin + place, ranks);
        return sum;
      };
    }
  }
}

}  // namespace

std::int64_t CollectiveCase::to_bytes() const {
  return CollectiveCall{.kind = kind, .count = count, .type = type}.to_bytes(ranks);
}

std::int64_t CollectiveCase::from_bytes() const {
  return CollectiveCall{.kind = kind, .count = count, .type = type}.from_bytes(ranks);
}

std::int64_t CollectiveCase::bytes() const {
  return std::max(to_bytes(), from_bytes());
}

CollectiveCase case_of(CollectiveKind kind, DType type, std::int64_t bytes, int ranks) {
  const bool in_place = kind == CollectiveKind::kAllReduce || kind == CollectiveKind::kBroadcast;
  const std::int64_t unit = size_of(type) * (in_place ? 1 : ranks);
  return {kind, type, std::max<std::int64_t>(1, bytes / unit), ranks};
}

double bus_factor(CollectiveKind kind, int ranks) {
  const double share = static_cast<double>(ranks - 1) / ranks;
  if (kind == CollectiveKind::kAllReduce) return 2 * share;
  return kind == CollectiveKind::kBroadcast ? 1 : share;
}

std::span<const CollectiveKind> measured_kinds() {
  return kKinds;
}

CollectiveKind kind_named(std::string_view name) {
  std::vector<std::string> names;
  for (const CollectiveKind kind : kKinds) {
    if (name == name_of(kind)) return kind;
    names.emplace_back(name_of(kind));
  }
  fail(ExitCode::kUsage, "--operation: no operation is called '{}'{}; there are {}",
       printable(name), did_you_mean(name, names), join_alternatives(names));
}

void enqueue_case(const CollectiveCase& use, void* to, const void* from, Communicator& communicator,
                  Stream& stream) {
  constexpr CollectiveLabel kLabel{"bench", -1};
  constexpr ReduceOperation kSum = ReduceOperation::kSum;
  switch (use.kind) {
    case CollectiveKind::kAllReduce:
      return communicator.all_reduce(to, use.count, use.type, kSum, stream, kLabel);
    case CollectiveKind::kReduceScatter:
      return communicator.reduce_scatter(to, from, use.count, use.type, kSum, stream, kLabel);
    case CollectiveKind::kAllGather:
      return communicator.all_gather(to, from, use.count, use.type, stream, kLabel);
    case CollectiveKind::kAllToAll:
      return communicator.all_to_all(to, from, use.count, use.type, stream, kLabel);
    case CollectiveKind::kBroadcast:
      return communicator.broadcast(to, use.count, use.type, 0, stream, kLabel);
    case CollectiveKind::kBarrier:
      return communicator.barrier(stream, kLabel);
  }
}

void write_inputs(const CollectiveCase& use, int rank, void* to, void* from,
                  HostTransfer& transfer) {
  const Pattern input(use.type,
                      [&](std::int64_t place) { return input_at(rank, place, use.ranks); });
  const Pattern nothing(use.type, [](std::int64_t) { return kNoResult; });
  const std::int64_t element = size_of(use.type);
  const bool in_place = use.from_bytes() == 0;
  const bool has_input = !in_place || is_reduced(use.kind) || rank == 0;
  if (!in_place) input.write(from, use.from_bytes() / element, transfer);
  (in_place && has_input ? input : nothing).write(to, use.to_bytes() / element, transfer);
}

std::int64_t count_errors(const CollectiveCase& use, int rank, const void* to,
                          HostTransfer& transfer) {
  const std::int64_t block_bytes = use.count * size_of(use.type);
  const std::int64_t blocks = use.to_bytes() / block_bytes;
  std::int64_t errors = 0;
  for (int block = 0; block < blocks; ++block) {
    const Pattern expected(use.type, expected_block(use, rank, block));
    const auto* data = static_cast<const std::byte*>(to) + block * block_bytes;
    errors += expected.differences(data, use.count, transfer);
  }
  return errors;
}

}  // namespace ingot
