#include "launcher/measure_collectives.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <vector>

#include "collectives/mpi/control_channel.hpp"

namespace ingot {
namespace {

/// Calls of one repetition at most: fewer than what streams and flight records have room for.
constexpr double kMostCalls = 500;
/// Long enough for the clock, where that many calls are.
constexpr double kRepetitionSeconds = 0.01;
constexpr std::size_t kLeastRepetitions = 5;
/// Calls of a recording at most.
constexpr double kMostRecorded = 20;
constexpr CollectiveLabel kLabel{"bench", -1};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

/// Holds a stream back until it is opened.
struct CollectiveBench::Gate {
  std::atomic<bool> open{false};

  static void pass(void* context) { static_cast<Gate*>(context)->open.wait(false); }
  void let_pass() {
    open.store(true);
    open.notify_one();
  }
};

CollectiveBench::CollectiveBench(MpiSession& session, Communicator& communicator, Device& device,
                                 std::int64_t bytes, bool shared, bool ordered)
    : session_(session),
      communicator_(communicator),
      device_(device),
      shared_(shared),
      to_(device.allocate(bytes, "bench")),
      from_(device.allocate(bytes, "bench")),
      transfer_(device),
      gate_(std::make_unique<Gate>()),
      begin_(device.create_event()),
      end_(device.create_event()),
      stream_(device.create_stream("bench")) {
  communicator_.reserve(*stream_, 2 * bytes);
  if (ordered) {
    const int ranks = communicator.size();
    ordered_ = std::make_unique<OrderedReduction>(
        communicator, ReductionTree(ranks, ranks, MicroAssignment::kConsecutive));
    const std::int64_t block = bytes / size_of(DType::kF32) / ranks + 1;
    scratch_ =
        device.allocate(std::max<std::int64_t>(ordered_->scratch_bytes(block), 256), "bench");
    ordered_->reserve(*stream_, block);
  }
  if (!shared_) return;
  communicator_.share(to_);
  communicator_.share(from_);
}

CollectiveBench::~CollectiveBench() {
  gate_->let_pass();
  // Peers do not come here where an error ends this rank.
  if (!shared_ || std::uncaught_exceptions() > 0) return;
  communicator_.unshare(from_);
  communicator_.unshare(to_);
}

void CollectiveBench::enqueue(const CollectiveCase& use) {
  if (!ordered_) return enqueue_case(use, to_.data(), from_.data(), communicator_, *stream_);
  const auto* partial = static_cast<const float*>(from_.data());
  ordered_->reduce_scatter(static_cast<float*>(to_.data()), {&partial, 1}, use.count,
                           scratch_.data(), *stream_, kLabel);
}

CollectiveTime CollectiveBench::measure(const CollectiveCase& use, double seconds) {
  CollectiveTime time;
  time.errors = check(use);
  // Sums of zeros stay zero, however often the result is summed again.
  transfer_.zero(to_.data(), use.to_bytes());
  transfer_.zero(from_.data(), use.from_bytes());
  on_stream(use, 1);
  const double once = std::max(on_stream(use, 2), 1e-7);
  time.seconds =
      median_of([&](std::int64_t calls) { return on_stream(use, calls); }, once, seconds * 2 / 3);
  time.graph_seconds = in_graph(use, once, seconds / 3);
  const double host_once = std::max(from_host(use, 2), 1e-7);
  time.host_seconds =
      median_of([&](std::int64_t calls) { return from_host(use, calls); }, host_once, seconds / 3);
  return time;
}

/// All ranks get the same `once` and so make the same calls.
template <typename Run>
double CollectiveBench::median_of(const Run& run, double once, double seconds) {
  const auto calls =
      static_cast<std::int64_t>(std::clamp(kRepetitionSeconds / once, 1.0, kMostCalls));
  const double repetition = once * static_cast<double>(calls);
  constexpr double kMostRepetitions = 1000;
  const auto repetitions =
      std::max(kLeastRepetitions,
               static_cast<std::size_t>(std::min(seconds / repetition, kMostRepetitions)));
  std::vector<double> times;
  for (std::size_t i = 0; i < repetitions; ++i) times.push_back(run(calls));
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

std::int64_t CollectiveBench::check(const CollectiveCase& use) {
  const int rank = communicator_.rank();
  write_inputs(use, rank, to_.data(), from_.data(), transfer_);
  enqueue(use);
  stream_->synchronize();
  const std::int64_t wrong = count_errors(use, rank, to_.data(), transfer_);
  return static_cast<std::int64_t>(session_.control().sum(static_cast<double>(wrong)));
}

double CollectiveBench::on_stream(const CollectiveCase& use, std::int64_t calls) {
  gate_->open.store(false);
  if (device_.host_visible()) stream_->call(Gate::pass, gate_.get());
  communicator_.barrier(*stream_, kLabel);
  stream_->record(*begin_);
  for (std::int64_t i = 0; i < calls; ++i) {
    enqueue(use);
  }
  stream_->record(*end_);
  gate_->let_pass();
  stream_->synchronize();
  return slowest(end_->seconds_since(*begin_) / static_cast<double>(calls));
}

double CollectiveBench::in_graph(const CollectiveCase& use, double once, double seconds) {
  const auto calls =
      static_cast<std::int64_t>(std::clamp(kRepetitionSeconds / once, 1.0, kMostRecorded));
  const auto recording = device_.record(*stream_, "bench", [&] {
    for (std::int64_t i = 0; i < calls; ++i) enqueue(use);
  });
  if (!recording) return 0;
  const auto replay = [&](std::int64_t) {
    communicator_.barrier(*stream_, kLabel);
    stream_->record(*begin_);
    recording->replay(*stream_);
    stream_->record(*end_);
    stream_->synchronize();
    return slowest(end_->seconds_since(*begin_) / static_cast<double>(calls));
  };
  replay(calls);
  return median_of(replay, once * static_cast<double>(calls), seconds);
}

double CollectiveBench::from_host(const CollectiveCase& use, std::int64_t calls) {
  communicator_.barrier(*stream_, kLabel);
  stream_->synchronize();
  const double begin = now();
  for (std::int64_t i = 0; i < calls; ++i) {
    enqueue(use);
    stream_->synchronize();
  }
  return slowest((now() - begin) / static_cast<double>(calls));
}

double CollectiveBench::slowest(double mine) {
  constexpr double kPicosecond = 1e-12;
  return static_cast<double>(
             session_.control().max(static_cast<std::int64_t>(mine / kPicosecond))) *
         kPicosecond;
}

}  // namespace ingot
