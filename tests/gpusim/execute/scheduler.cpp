// What one worker does: take the next block (or cluster) while the device has room, run it until it
// ends or only waits for others, and come back to those that wait. Blocks that look for something
// in vain leave the core to other work between the rounds.
#include "execute/scheduler.hpp"

#include <chrono>
#include <cstring>
#include <deque>
#include <memory>
#include <thread>

#include "execute/decode/decoder.hpp"
#include "execute/interpreter.hpp"

namespace gpusim::execute {
namespace {

constexpr std::int64_t kWarpSlice = 20'000;
constexpr std::uint64_t kBlockSlice = 2'000'000;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Blocks that run together: a cluster, or one alone.
struct Cluster {
  std::vector<std::unique_ptr<Block>> blocks;
  std::size_t next = 0;
};

enum class Result : std::uint8_t { kDone, kSpinning, kSlice, kBlocked, kFault };

void start_block(Launch& launch, Block& block, std::uint64_t linear) {
  const LaunchRequest& request = *launch.request;
  block.launch = &launch;
  block.linear = linear;
  block.multiprocessor =
      static_cast<std::uint32_t>(linear % static_cast<unsigned>(launch.device->multiprocessors));
  block.warp_count = static_cast<int>((launch.threads + kLanes - 1) / kLanes);
  while (static_cast<int>(block.warps.size()) < block.warp_count) {
    block.warps.push_back(std::make_unique<Warp>());
  }
  (void)request;
  for (int w = 0; w < block.warp_count; ++w) {
    const std::uint32_t rest = launch.threads - static_cast<std::uint32_t>(w) * kLanes;
    const LaneMask lanes = rest >= kLanes ? kAllLanes : (1u << rest) - 1;
    block.warps[static_cast<std::size_t>(w)]->start(w, lanes, *launch.code);
  }
  block.live_threads = launch.threads;
  block.live_warps = block.warp_count;
  block.next_warp = 0;
  block.shared_bytes = launch.shared_bytes;
  block.shared.ensure(launch.shared_bytes);
  // Never all zero: code that counts on it would pass here and fail on hardware.
  std::memset(block.shared.data(), 0xcb, launch.shared_bytes);
  if (launch.options.check_initialised) {
    block.shared_written.assign((launch.shared_bytes + 63) / 64, 0);
    // The reserved part is the system's business.
    for (std::uint32_t w = 0; w < kSharedReserved / 64; ++w) block.shared_written[w] = ~0ULL;
  } else {
    block.shared_written.clear();
  }
  for (NamedBarrier& barrier : block.barriers) {
    barrier.arrived = barrier.expected = barrier.predicates = barrier.reducing = 0;
    barrier.phase = 0;
    barrier.warps.assign(static_cast<std::size_t>(block.warp_count), WarpArrival{});
  }
  block.bulk.clear();
  block.races.start(launch.options.check_races, launch.shared_bytes, block.warp_count);
  block.peers.start(launch.peers.get(), linear, block.warp_count);
  block.cluster.clear();
  block.cluster_rank = 0;
  block.cluster_arrived = block.cluster_phase = 0;
}

/// The index of block `rank` of cluster `number`.
Dim3 block_index(const Launch& launch, std::uint64_t number, std::uint32_t rank) {
  const Dim3& grid = launch.request->grid;
  const Dim3 c = launch.cluster_blocks > 1 ? launch.request->cluster : Dim3{};
  const std::uint64_t columns = grid.x / c.x, rows = grid.y / c.y;
  Dim3 index;
  index.x = static_cast<std::uint32_t>(number % columns) * c.x + rank % c.x;
  index.y = static_cast<std::uint32_t>(number / columns % rows) * c.y + rank / c.x % c.y;
  index.z = static_cast<std::uint32_t>(number / columns / rows) * c.z + rank / c.x / c.y;
  return index;
}

void start_cluster(Launch& launch, Cluster& cluster, std::uint64_t number) {
  while (cluster.blocks.size() < launch.cluster_blocks) {
    cluster.blocks.push_back(std::make_unique<Block>());
  }
  cluster.blocks.resize(launch.cluster_blocks);
  for (std::uint32_t rank = 0; rank < launch.cluster_blocks; ++rank) {
    Block& block = *cluster.blocks[rank];
    start_block(launch, block, number * launch.cluster_blocks + rank);
    block.index = block_index(launch, number, rank);
    block.cluster_rank = rank;
    if (launch.cluster_blocks > 1) {
      for (const auto& member : cluster.blocks) block.cluster.push_back(member.get());
    }
  }
  cluster.next = 0;
}

Result run_block(Context& context, Block& block, std::uint64_t slice) {
  context.block = &block;
  const std::uint64_t start = context.counters.warp_instructions;
  bool progress = false;
  while (true) {
    bool ran = false, worked = false;
    for (int w = 0; w < block.warp_count; ++w) {
      Warp& warp = *block.warps[static_cast<std::size_t>(w)];
      if (warp.done() || !runnable(warp)) continue;
      ran = true;
      const Turn turn = run_warp(context, warp, kWarpSlice);
      if (turn == Turn::kFault) return Result::kFault;
      if (turn != Turn::kSpinning) worked = true;
    }
    if (block.done()) return Result::kDone;
    progress = progress || worked;
    if (!ran) return Result::kBlocked;
    if (!worked) return progress ? Result::kSlice : Result::kSpinning;
    if (context.launch.stop.load(std::memory_order_relaxed)) return Result::kFault;
    if (context.counters.warp_instructions - start > slice) return Result::kSlice;
  }
}

/// All blocks of a cluster in turn.
Result run_cluster(Context& context, Cluster& cluster) {
  if (cluster.blocks.size() == 1) return run_block(context, *cluster.blocks[0], kBlockSlice);
  bool done = true, worked = false, spinning = false;
  for (const auto& block : cluster.blocks) {
    if (block->done()) continue;
    const Result result = run_block(context, *block, kBlockSlice / 16);
    if (result == Result::kFault) return result;
    if (result != Result::kDone) done = false;
    if (result == Result::kDone || result == Result::kSlice) worked = true;
    if (result == Result::kSpinning) spinning = true;
  }
  if (done) return Result::kDone;
  if (worked) return Result::kSlice;
  // A block that waits may have been released by one that ran after it.
  for (const auto& block : cluster.blocks) {
    for (int w = 0; w < block->warp_count; ++w) {
      if (runnable(*block->warps[static_cast<std::size_t>(w)]) && !spinning) return Result::kSlice;
    }
  }
  return spinning ? Result::kSpinning : Result::kBlocked;
}

/// What the warps of a block wait for.
std::string waiting_text(Context& context, const Block& block) {
  std::string text;
  int shown = 0;
  for (int w = 0; w < block.warp_count; ++w) {
    const Warp& warp = *block.warps[static_cast<std::size_t>(w)];
    for (const Group& group : warp.groups) {
      if (++shown > 4) return text + "; and others";
      const Op& op = group.code->ops[static_cast<std::size_t>(group.pc)];
      const ptx::Instruction& instruction = group.code->instruction(op);
      char mask[16];
      std::snprintf(mask, sizeof(mask), "0x%08x", group.mask);
      text += (text.empty() ? "" : "; ") + std::string("warp ") + std::to_string(w) + " lanes " +
              mask + (group.state == GroupState::kReady ? " at `" : " wait at `") +
              text_of(group.code->source(), *context.launch.program->module, instruction) + "` (" +
              place_of(*context.launch.program->module, instruction) + ")";
    }
  }
  return text;
}

void report_deadlock(Context& context, const Cluster& cluster, const std::string& what) {
  Launch& launch = context.launch;
  std::string text;
  for (const auto& block : cluster.blocks) {
    if (block->done()) continue;
    const Dim3& i = block->index;
    text = "block (" + std::to_string(i.x) + "," + std::to_string(i.y) + "," + std::to_string(i.z) +
           "): " + waiting_text(context, *block);
    break;
  }
  const std::lock_guard lock(launch.mutex);
  if (launch.fault == Fault::kNone) {
    launch.fault = Fault::kDeadlock;
    launch.message = "kernel " + launch.program->name + ": " + what + ": " + text;
  }
  launch.stop = true;
}

/// Blocks kept between launches: their memory is grown already.
std::vector<std::unique_ptr<Cluster>>& spare_clusters() {
  thread_local std::vector<std::unique_ptr<Cluster>> spare;
  return spare;
}

std::unique_ptr<Cluster> take_spare() {
  auto& spare = spare_clusters();
  if (spare.empty()) return std::make_unique<Cluster>();
  std::unique_ptr<Cluster> cluster = std::move(spare.back());
  spare.pop_back();
  return cluster;
}

void keep_spare(std::unique_ptr<Cluster> cluster) {
  constexpr std::size_t kSpare = 16;
  if (spare_clusters().size() < kSpare) spare_clusters().push_back(std::move(cluster));
}

class Worker {
 public:
  explicit Worker(Launch& launch) : launch_(launch), context_(launch) {
    context_.sites.resize(launch.program->sites.load());
  }

  void run() {
    while (!launch_.stop.load(std::memory_order_relaxed)) {
      std::unique_ptr<Cluster> cluster = next();
      if (cluster == nullptr) break;
      const Result result = run_cluster(context_, *cluster);
      handle(result, std::move(cluster));
    }
    for (auto& left : waiting_) keep_spare(std::move(left));
    const std::lock_guard lock(launch_.mutex);
    launch_.counters.add(context_.counters);
    launch_.accesses.merge(context_.accesses);
  }

 private:
  std::unique_ptr<Cluster> next() {
    // A fresh one while there is room; those that wait have been looked at in the last round.
    if (fresh_turn_ || waiting_.empty()) {
      fresh_turn_ = false;
      if (std::unique_ptr<Cluster> fresh = start_next()) return fresh;
    }
    fresh_turn_ = true;
    if (waiting_.empty()) return nullptr;
    std::unique_ptr<Cluster> cluster = std::move(waiting_.front());
    waiting_.pop_front();
    return cluster;
  }

  std::unique_ptr<Cluster> start_next() {
    const std::uint64_t clusters = launch_.blocks / launch_.cluster_blocks;
    if (launch_.next_block.load(std::memory_order_relaxed) >= clusters) return nullptr;
    if (launch_.resident.fetch_add(launch_.cluster_blocks) >= launch_.resident_blocks) {
      launch_.resident.fetch_sub(launch_.cluster_blocks);
      return nullptr;
    }
    const std::uint64_t number = launch_.next_block.fetch_add(1);
    if (number >= clusters) {
      launch_.resident.fetch_sub(launch_.cluster_blocks);
      return nullptr;
    }
    std::unique_ptr<Cluster> cluster = take_spare();
    start_cluster(launch_, *cluster, number);
    return cluster;
  }

  void handle(Result result, std::unique_ptr<Cluster> cluster) {
    switch (result) {
      case Result::kDone:
        for (const auto& block : cluster->blocks) block->peers.finish();
        launch_.resident.fetch_sub(launch_.cluster_blocks);
        keep_spare(std::move(cluster));
        idle_rounds_ = 0;
        launch_.last_progress_ns.store(now_ns(), std::memory_order_relaxed);
        return;
      case Result::kSlice:
        launch_.last_progress_ns.store(now_ns(), std::memory_order_relaxed);
        idle_rounds_ = 0;
        waiting_.push_back(std::move(cluster));
        return;
      case Result::kBlocked:
        report_deadlock(context_, *cluster, "deadlock, all threads of a block wait for others");
        waiting_.push_back(std::move(cluster));
        return;
      case Result::kFault:
        launch_.stop = true;
        waiting_.push_back(std::move(cluster));
        return;
      case Result::kSpinning:
        break;
    }
    Cluster& spinning = *cluster;
    waiting_.push_back(std::move(cluster));
    if (++idle_rounds_ <= waiting_.size()) return;
    // Everything here looks for something that others have to do.
    idle_rounds_ = 0;
    ++idle_;
    if (idle_ < 16) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(idle_ < 64 ? 20 : 200));
    }
    const double seconds = static_cast<double>(now_ns() - launch_.last_progress_ns.load()) * 1e-9;
    if (seconds > launch_.options.hang_seconds) {
      report_deadlock(context_, spinning,
                      "no progress for " + std::to_string(static_cast<int>(seconds)) +
                          " s, its blocks poll in vain");
    }
  }

  Launch& launch_;
  Context context_;
  std::deque<std::unique_ptr<Cluster>> waiting_;
  bool fresh_turn_ = true;
  std::size_t idle_rounds_ = 0;
  unsigned idle_ = 0;
};

}  // namespace

void run_blocks(Launch& launch) {
  Worker(launch).run();
}

}  // namespace gpusim::execute
