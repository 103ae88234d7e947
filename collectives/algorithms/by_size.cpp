#include "collectives/algorithms/by_size.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace ingot {
namespace {

using Kind = CollectiveKind;

class BySize final : public Communicator {
 public:
  BySize(int rank, int size, const SizeLimits& limits, std::function<void(const std::string&)> note)
      : rank_(rank), size_(size), limits_(limits), note_(std::move(note)) {}
  /// The record's stamps are the transports'.
  ~BySize() override { stop_watching(); }

  void connect(const BySizeOptions& options);

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string transport() const override { return large_->transport(); }
  void reserve(Stream& stream, std::int64_t bytes) override {
    large_->reserve(stream, bytes);
    if (small_) small_->reserve(stream, bytes);
  }
  void share(const Buffer& buffer) override { large_->share(buffer); }
  void unshare(const Buffer& buffer) override { large_->unshare(buffer); }
  std::int64_t memory_bytes() const override {
    return large_->memory_bytes() + (small_ ? small_->memory_bytes() : 0);
  }
  void cancel() override {
    if (small_) small_->cancel();
    fail_in_flight();  // before the other, which may take long
    large_->cancel();
  }
  [[noreturn]] void abort(int exit_code) override {
    large_->abort(exit_code);
    std::abort();  // it does not return
  }

 private:
  std::unique_ptr<Communicator> create_split(int color, int key) override;
  void enqueue(const CollectiveCall& call, Stream& stream) override {
    const bool small = small_ && small_enough(call, size_, limits_) && fits(call, stream);
    (small ? static_cast<Communicator&>(*small_) : *large_).carry_out(call, stream);
  }
  bool fits(const CollectiveCall& call, Stream& stream);

  int rank_;
  int size_;
  SizeLimits limits_;
  std::function<void(const std::string&)> note_;
  bool noted_ = false;
  std::unique_ptr<Communicator> large_;
  std::unique_ptr<DirectCommunicator> small_;
};

void BySize::connect(const BySizeOptions& options) {
  if (options.log != nullptr) watch(*options.log, "all");
  FlightEntry& large = begin_step("start of the communicator");
  large_ = options.large();
  large.finish();
  FlightEntry& small = begin_step("start of direct collectives");
  small_ = options.small();
  small.finish();
}

bool BySize::fits(const CollectiveCall& call, Stream& stream) {
  const DirectCommunicator::Fit fit = small_->fit(call, stream);
  const bool full = fit == DirectCommunicator::Fit::kTooManyRecordings;
  if (full && note_ && !std::exchange(noted_, true)) {
    note_(
        fmt::format("{} and other small calls go by {}: there is room for direct calls in {} "
                    "recorded programs",
                    describe(call), large_->transport(), kDirectRecordings));
  }
  return fit == DirectCommunicator::Fit::kFits;
}

std::unique_ptr<Communicator> BySize::create_split(int color, int key) {
  FlightEntry& step = begin_step("split of a communicator");
  std::unique_ptr<Communicator> large = large_->split(color, key);
  auto part = std::make_unique<BySize>(large->rank(), large->size(), limits_, note_);
  part->large_ = std::move(large);
  if (small_) {
    std::unique_ptr<Communicator> small = small_->split(color, key);
    part->small_.reset(static_cast<DirectCommunicator*>(small.release()));
  }
  step.finish();
  return part;
}

}  // namespace

std::unique_ptr<Communicator> create_by_size_communicator(const BySizeOptions& options) {
  auto communicator =
      std::make_unique<BySize>(options.rank, options.size, options.limits, options.note);
  communicator->connect(options);
  return communicator;
}

std::int64_t staging_for(const SizeLimits& limits) {
  return std::min(kDirectStaging,
                  std::max({limits.all_reduce, limits.reduce_scatter, limits.all_gather}));
}

bool small_enough(const CollectiveCall& call, int ranks, const SizeLimits& limits) {
  switch (call.kind) {
    case Kind::kAllReduce:
      return call.bytes() <= limits.all_reduce;
    case Kind::kReduceScatter:
    case Kind::kAllToAll:
      return call.bytes() * ranks <= limits.reduce_scatter;
    case Kind::kAllGather:
    case Kind::kBroadcast:
      return call.bytes() * ranks <= limits.all_gather;
    case Kind::kBarrier:
      return limits.all_reduce > 0;
  }
  return false;
}

}  // namespace ingot
