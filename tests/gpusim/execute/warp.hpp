// 32 threads that run in lockstep where they can: a list of groups of lanes, each with its own
// place in the program. One group is the normal case; a divergent branch makes two, and groups
// that stand at the same operation are merged. There is no reconvergence stack, so lanes may wait
// for each other in any order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "execute/async_copy.hpp"
#include "execute/program.hpp"

namespace gpusim::execute {

/// A call that has not returned. Groups that split inside the callee share it; counted by them and
/// by the calls made from inside.
struct CallFrame {
  CallFrame* parent = nullptr;
  const Code* code = nullptr;  ///< of the caller
  const Op* call = nullptr;    ///< in the caller
  std::uint32_t frame = 0;     ///< of the caller: bytes into Warp::registers
  std::uint32_t local = 0;     ///< of the caller: bytes of local memory
  int depth = 0;               ///< of the callee; the entry has depth 0
  int references = 0;
};

enum class GroupState : std::uint8_t {
  kReady,
  kParked,  ///< at a .sync operation, until the other lanes of its member mask arrive
  kBarrier  ///< at a barrier of the block or cluster
};

struct Group {
  const Code* code = nullptr;
  CallFrame* call = nullptr;  ///< null in the entry
  std::int32_t pc = 0;
  LaneMask mask = 0;
  std::uint32_t frame = 0;
  std::uint32_t local = 0;
  GroupState state = GroupState::kReady;
  bool yielded = false;        ///< lets other groups of the warp run first
  std::int32_t barrier = -1;   ///< kBarrier: which; -2 for the cluster's
  LaneMask member = 0;         ///< kParked: the member mask
  std::uint32_t backward = 0;  ///< backward branches since its turn began
  // A group that keeps loading the same value at one place waits for somebody.
  const Op* poll_op = nullptr;
  std::uint64_t poll_value = 0;
  std::uint32_t polls = 0;
};

/// Memory aligned for whole vectors that keeps its content when it grows.
class RowMemory {
 public:
  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  void ensure(std::size_t bytes);
  RowMemory() = default;
  RowMemory(const RowMemory&) = delete;
  RowMemory& operator=(const RowMemory&) = delete;
  ~RowMemory();

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

struct Warp {
  int index = 0;         ///< in the block
  LaneMask live = 0;     ///< lanes that have not exited
  LaneMask started = 0;  ///< lanes that exist
  std::vector<Group> groups;
  std::size_t current = 0;
  RowMemory registers;
  /// Local memory: word w of lane l at [w][l], and per word a bit per lane that was written.
  RowMemory local;
  RowMemory local_written;
  std::uint32_t carry = 0;  ///< CC.CF of each lane
  AsyncCopies copies;
  LaneMask cluster_lanes = 0;  ///< have arrived in the open phase of the cluster's barrier

  bool done() const { return live == 0; }
  void start(int number, LaneMask lanes, const Code& code);

  CallFrame* push_call();
  void release(CallFrame* call);

 private:
  std::vector<std::unique_ptr<CallFrame>> frames_;
  std::vector<CallFrame*> free_frames_;
};

}  // namespace gpusim::execute
