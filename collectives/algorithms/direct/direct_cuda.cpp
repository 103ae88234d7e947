#include "collectives/algorithms/direct/direct_cuda.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <map>
#include <sstream>
#include <utility>

#include "collectives/algorithms/direct/kernels.hpp"
#include "collectives/algorithms/direct/peer_memory_cuda.hpp"
#include "collectives/element_types.hpp"
#include "collectives/flight_stamper.hpp"
#include "collectives/host_staging.hpp"
#include "ops/device/cuda/check.hpp"

namespace ingot::direct {
namespace {

using Kind = CollectiveKind;
using cuda::check;

/// One for all calls that are not recorded, and one for each recording. The calls of a lane run one
/// after the other. Two halves of staging each.
constexpr int kLanes = kDirectRecordings + 1;
constexpr std::int64_t kStateBytes = 256;

/// In a rank's memory: flags and state of each lane, then staging of each lane.
constexpr std::int64_t kControlBytes = kFlagBytes + kStateBytes;
static_assert(kControlBytes == kDirectControlBytes && kMaxRanks == kMostDirectRanks);
constexpr std::int64_t bytes_of(std::int64_t half) {
  return kLanes * (kControlBytes + 2 * half);
}

Reduction reduction_of(ReduceOperation operation) {
  switch (operation) {
    case ReduceOperation::kSum:
      return Reduction::kSum;
    case ReduceOperation::kMin:
      return Reduction::kMin;
    case ReduceOperation::kMax:
      return Reduction::kMax;
  }
  return Reduction::kSum;
}

Movement movement_of(Kind kind) {
  switch (kind) {
    case Kind::kAllGather:
      return Movement::kAllGather;
    case Kind::kAllToAll:
      return Movement::kAllToAll;
    case Kind::kBroadcast:
      return Movement::kBroadcast;
    default:
      return Movement::kBarrier;
  }
}

void* offset(void* data, std::int64_t bytes) {
  return static_cast<std::byte*>(data) + bytes;
}
const void* offset(const void* data, std::int64_t bytes) {
  return static_cast<const std::byte*>(data) + bytes;
}

/// What a communicator and its parts share: a word that their kernels look at while they wait.
class Cancellation {
 public:
  explicit Cancellation(Device& device)
      : word_(device.allocate_host(sizeof(std::uint32_t), "cancellation of direct calls")) {
    std::atomic_ref(*word()).store(0);
  }
  const std::uint32_t* seen_by_gpu() const { return word(); }
  void cancel() { std::atomic_ref(*word()).store(1, std::memory_order_release); }

 private:
  std::uint32_t* word() const { return static_cast<std::uint32_t*>(word_.data()); }
  Buffer word_;  ///< pinned
};

DirectResult join(DirectOptions options, std::shared_ptr<Cancellation> cancellation);

class Direct final : public DirectCommunicator {
 public:
  Direct(DirectOptions options, std::unique_ptr<PeerMemory> memory,
         std::shared_ptr<Cancellation> cancellation)
      : options_(std::move(options)),
        stamper_(*options_.device),
        memory_(std::move(memory)),
        cancellation_(std::move(cancellation)) {}
  ~Direct() override;

  int rank() const override { return options_.rank; }
  int size() const override { return options_.size; }
  std::string transport() const override { return options_.name; }
  std::int64_t memory_bytes() const override { return memory_->bytes(); }
  Fit fit(const CollectiveCall& call, Stream& stream) override {
    if (call.count > longest_piece(call)) return Fit::kTooLong;
    return use_of(cuda::native(stream)) != nullptr ? Fit::kFits : Fit::kTooManyRecordings;
  }
  /// What comes later in the streams returns at once as well, so that they run empty.
  void cancel() override {
    cuda::cuda_device(*options_.device).give_up("exchanges of GPUs were given up");
    cancellation_->cancel();
    fail_in_flight();
  }
  [[noreturn]] void abort(int exit_code) override {
    options_.abort(exit_code);
    std::abort();  // it does not return
  }

 private:
  /// A lane, and who used it last.
  struct Use {
    int lane = 0;
    unsigned long long stream = 0;  ///< CUDA's number; 0: nobody yet
    cudaEvent_t event = nullptr;    ///< behind the last call
  };

  std::unique_ptr<Communicator> create_split(int color, int key) override;
  void enqueue(const CollectiveCall& call, Stream& stream) override;
  std::int64_t longest_piece(const CollectiveCall& call) const;
  Use* use_of(cudaStream_t stream);
  Lane lane(int index) const;
  void launch(const Lane& lane, const CollectiveCall& call, std::int64_t begin, std::int64_t count,
              cudaStream_t stream) const;
  void launch_reduction(const Lane& lane, const CollectiveCall& call, std::int64_t begin,
                        std::int64_t count, cudaStream_t stream) const;

  DirectOptions options_;
  FlightStamper stamper_;
  std::unique_ptr<PeerMemory> memory_;
  std::shared_ptr<Cancellation> cancellation_;
  /// By CUDA's number of a recording, 0 for none. All ranks come to the same lanes, since they make
  /// the same calls in the same order.
  std::map<unsigned long long, Use> uses_;
};

/// Elements of a call that one launch can stage.
std::int64_t Direct::longest_piece(const CollectiveCall& call) const {
  if (size() == 1) return std::numeric_limits<std::int64_t>::max();
  const bool of_each = call.kind == Kind::kReduceScatter || call.kind == Kind::kAllToAll;
  const std::int64_t vectors = options_.staging_bytes / kVectorBytes / (of_each ? size() : 1);
  return vectors * (kVectorBytes / size_of(call.type));
}

Direct::~Direct() {
  stop_watching();
  for (const auto& [recording, use] : uses_) {
    if (use.event != nullptr) (void)cudaEventDestroy(use.event);
  }
}

/// The lane for a call on a stream, or null where there is none left for what is being recorded: a
/// recording keeps its lane for good.
Direct::Use* Direct::use_of(cudaStream_t stream) {
  unsigned long long recording = 0;
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamGetCaptureInfo(stream, &status, &recording), "cudaStreamGetCaptureInfo");
  if (status != cudaStreamCaptureStatusActive) recording = 0;
  const auto found = uses_.find(recording);
  if (found != uses_.end()) return &found->second;
  if (uses_.empty()) uses_[0];  // the first lane, whoever comes first
  if (recording != 0 && static_cast<int>(uses_.size()) == kLanes) return nullptr;
  Use& use = uses_[recording];
  if (recording != 0) use.lane = static_cast<int>(uses_.size()) - 1;
  return &use;
}

Lane Direct::lane(int index) const {
  Lane lane;
  lane.rank = rank();
  lane.ranks = size();
  lane.most_blocks = options_.most_blocks;
  lane.half_bytes = options_.staging_bytes;
  for (int peer = 0; peer < size(); ++peer) {
    std::byte* const memory = memory_->of(peer);
    lane.flags[peer] = reinterpret_cast<std::uint64_t*>(memory + index * kControlBytes);
    lane.staging[peer] = memory + kLanes * kControlBytes + index * 2 * lane.half_bytes;
  }
  std::byte* const own = memory_->own() + index * kControlBytes;
  lane.state = reinterpret_cast<LaneState*>(own + kFlagBytes);
  lane.cancelled = cancellation_->seen_by_gpu();
  return lane;
}

void Direct::enqueue(const CollectiveCall& call, Stream& stream) {
  if (size() == 1) return HostStaging::copy_alone(call, stream);
  if (call.count == 0 && call.kind != Kind::kBarrier) {
    call.flight->start();
    return call.flight->finish();
  }
  cuda::cuda_device(*options_.device).throw_if_given_up();
  const cudaStream_t native = cuda::native(stream);
  Use* const use = use_of(native);
  if (use == nullptr) {
    fail(ExitCode::kInternal,
         "{}: a direct communicator takes part in at most {} recorded programs; by_size leaves "
         "those of more to NCCL",
         describe(call), kDirectRecordings);
  }
  stamper_.prepare(*call.flight);
  const StampTarget stamps = FlightStamper::target(call);
  Lane lane = this->lane(use->lane);
  unsigned long long id = 0;
  check(cudaStreamGetId(native, &id), "cudaStreamGetId");
  if (use->event == nullptr) {
    check(cudaEventCreateWithFlags(&use->event, cudaEventDisableTiming),
          "cudaEventCreateWithFlags");
  }
  // Ranks may put calls on different streams: in a lane they run in the order in which they were
  // made.
  if (use->stream != 0 && use->stream != id) {
    check(cudaStreamWaitEvent(native, use->event, cudaEventWaitDefault), "cudaStreamWaitEvent");
  }
  const std::int64_t longest = longest_piece(call);
  std::int64_t begin = 0;
  do {
    const std::int64_t count = std::min(longest, call.count - begin);
    lane.stamps = stamps;
    if (begin > 0) lane.stamps.start = nullptr;
    if (begin + count < call.count) lane.stamps.finish = nullptr;
    launch(lane, call, begin, count, native);
    check(cudaGetLastError(), "launch of a direct collective");
    begin += count;
  } while (begin < call.count);
  check(cudaEventRecord(use->event, native), "cudaEventRecord");
  use->stream = id;
}

/// Elements [begin, begin + count) of the call, of each block where it has several.
void Direct::launch(const Lane& lane, const CollectiveCall& call, std::int64_t begin,
                    std::int64_t count, cudaStream_t stream) const {
  if (call.kind == Kind::kAllReduce || call.kind == Kind::kReduceScatter) {
    return launch_reduction(lane, call, begin, count, stream);
  }
  const std::int64_t element = size_of(call.type);
  launch_movement(lane, stream, movement_of(call.kind), call.root, offset(call.to, begin * element),
                  offset(call.from, begin * element), count, call.count, static_cast<int>(element));
}

void Direct::launch_reduction(const Lane& lane, const CollectiveCall& call, std::int64_t begin,
                              std::int64_t count, cudaStream_t stream) const {
  const std::int64_t element = size_of(call.type);
  const Reduction reduction = reduction_of(call.operation);
  void* to = offset(call.to, begin * element);
  with_element_type(call.type, [&]<typename T>() {
    if (call.kind == Kind::kReduceScatter) {
      return Reductions<T>::reduce_scatter(lane, stream, to, offset(call.from, begin * element),
                                           count, call.count, reduction);
    }
    if (count * element > options_.one_shot_bytes) {
      return Reductions<T>::two_shot(lane, stream, to, count, reduction);
    }
    Reductions<T>::one_shot(lane, stream, to, count, reduction);
  });
}

/// All ranks of this communicator tell each other their part; the ranks of a part then are those
/// with its color. Later exchanges of a part are exchanges of all, since all parts have equally
/// many.
std::unique_ptr<Communicator> Direct::create_split(int color, int key) {
  struct Member {
    int color, key, rank;
  };
  std::vector<Member> members;
  const std::vector<std::string> all = options_.all_gather(fmt::format("{} {}", color, key));
  for (int rank = 0; rank < size(); ++rank) {
    std::istringstream text(all[static_cast<std::size_t>(rank)]);
    Member member{0, 0, rank};
    text >> member.color >> member.key;
    if (member.color == color) members.push_back(member);
  }
  std::ranges::stable_sort(members, {}, &Member::key);
  DirectOptions part = options_;
  part.size = static_cast<int>(members.size());
  std::vector<int> ranks;
  for (const Member& member : members) {
    if (member.rank == rank()) part.rank = static_cast<int>(ranks.size());
    ranks.push_back(member.rank);
  }
  part.all_gather = [all_gather = options_.all_gather, ranks](const std::string& mine) {
    const std::vector<std::string> texts = all_gather(mine);
    std::vector<std::string> of_part;
    for (const int rank : ranks) of_part.push_back(texts[static_cast<std::size_t>(rank)]);
    return of_part;
  };
  part.one_shot_bytes = default_one_shot_bytes(part.size);
  DirectResult result = join(std::move(part), cancellation_);
  if (!result.communicator) fail(ExitCode::kGpu, "{}", result.refusal);
  return std::move(result.communicator);
}

/// Blocks that wait for peers must not fill a GPU, lest those never start that other ranks wait
/// for. Two of them fit a multiprocessor, by their registers; up to eight communicators may have
/// kernels at work at once. One exchange.
int agree_on_blocks(const DirectOptions& options, int multiprocessors) {
  constexpr int kAtOnce = 8;
  int blocks = std::clamp(2 * multiprocessors / kAtOnce, 1, kMaxBlocks);
  if (options.most_blocks > 0) blocks = std::min(options.most_blocks, kMaxBlocks);
  for (const std::string& text : options.all_gather(std::to_string(blocks))) {
    blocks = std::min(blocks, std::stoi(text));
  }
  return blocks;
}

DirectResult join(DirectOptions options, std::shared_ptr<Cancellation> cancellation) {
  DirectResult result;
  if (options.one_shot_bytes < 0) options.one_shot_bytes = default_one_shot_bytes(options.size);
  options.staging_bytes = std::max<std::int64_t>(options.staging_bytes, kMaxRanks * kVectorBytes) /
                          kVectorBytes * kVectorBytes;
  if (options.size > kMaxRanks) {
    result.refusal = fmt::format("there are {} ranks, and direct collectives join at most {}",
                                 options.size, kMaxRanks);
    return result;
  }
  cuda::CudaDevice& device = cuda::cuda_device(*options.device);
  options.most_blocks = agree_on_blocks(options, device.properties().multiProcessorCount);
  const bool alone = options.size == 1;
  std::unique_ptr<PeerMemory> memory =
      PeerMemory::create(device, options.all_gather, options.rank, options.size,
                         alone ? 0 : bytes_of(options.staging_bytes),
                         alone ? 0 : kLanes * kControlBytes, result.refusal);
  if (memory) {
    result.communicator =
        std::make_unique<Direct>(std::move(options), std::move(memory), std::move(cancellation));
  }
  return result;
}

}  // namespace

DirectResult create(const DirectOptions& options) {
  return join(options, std::make_shared<Cancellation>(*options.device));
}

}  // namespace ingot::direct
