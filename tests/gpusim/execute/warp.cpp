// Warps: memory for rows, and the frames of calls.
#include "execute/warp.hpp"

#include <algorithm>
#include <cstring>

namespace gpusim::execute {

void RowMemory::ensure(std::size_t bytes) {
  if (bytes <= bytes_) return;
  const std::size_t grown = std::max(bytes, bytes_ + bytes_ / 2);
  auto* fresh = static_cast<std::byte*>(::operator new (grown, std::align_val_t{64}));
  if (bytes_ != 0) std::memcpy(fresh, data_, bytes_);
  std::memset(fresh + bytes_, 0, grown - bytes_);
  if (data_ != nullptr) ::operator delete (data_, std::align_val_t{64});
  data_ = fresh;
  bytes_ = grown;
}

RowMemory::~RowMemory() {
  if (data_ != nullptr) ::operator delete (data_, std::align_val_t{64});
}

void AsyncCopies::clear() {
  open.clear();
  groups.clear();
  arrivals.clear();
  bulk_open.clear();
  bulk_groups.clear();
}

void Warp::start(int number, LaneMask lanes, const Code& code) {
  index = number;
  live = started = lanes;
  for (Group& group : groups) {
    if (group.call != nullptr) release(group.call);
  }
  groups.clear();
  Group group;
  group.code = &code;
  group.mask = lanes;
  groups.push_back(group);
  current = 0;
  registers.ensure(code.frame_bytes);
  const std::size_t words = code.local_words;
  local.ensure(words * 4 * kLanes);
  local_written.ensure(words * 4);
  if (words != 0) std::memset(local_written.data(), 0, words * 4);
  carry = 0;
  copies.clear();
  cluster_lanes = 0;
}

CallFrame* Warp::push_call() {
  if (free_frames_.empty()) {
    frames_.push_back(std::make_unique<CallFrame>());
    free_frames_.push_back(frames_.back().get());
  }
  CallFrame* call = free_frames_.back();
  free_frames_.pop_back();
  *call = CallFrame{};
  return call;
}

void Warp::release(CallFrame* call) {
  while (call != nullptr && --call->references == 0) {
    CallFrame* parent = call->parent;
    free_frames_.push_back(call);
    call = parent;
  }
}

}  // namespace gpusim::execute
