// Pieces of a kernel's workspace, one per thread of the pool: a piece of work borrows one while it
// runs. Which one it gets has no influence on the result, since contents are undefined.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ingot::cpu {

class WorkspaceSlots {
 public:
  WorkspaceSlots(int threads, std::int64_t bytes_per_slot)
      : bytes_((bytes_per_slot + 63) / 64 * 64), busy_(static_cast<std::size_t>(threads)) {}

  std::int64_t count() const { return static_cast<std::int64_t>(busy_.size()); }
  std::int64_t workspace_bytes() const { return bytes_ * count(); }

  /// A borrowed slot, given back at the end of the scope.
  class Lease {
   public:
    explicit Lease(WorkspaceSlots& slots) : slots_(slots) {
      // There is a slot per thread, so one is free, or will be as soon as its last user, who has
      // left the piece of work, clears the flag.
      while (slots_.busy_[index_].exchange(true, std::memory_order_acquire)) {
        index_ = (index_ + 1) % slots_.busy_.size();
      }
    }
    ~Lease() { slots_.busy_[index_].store(false, std::memory_order_release); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    std::size_t index() const { return index_; }
    /// The slot's part of the kernel's workspace, 64-byte aligned.
    std::byte* memory(std::byte* workspace) const {
      return workspace + static_cast<std::int64_t>(index_) * slots_.bytes_;
    }

   private:
    WorkspaceSlots& slots_;
    std::size_t index_ = 0;
  };

 private:
  std::int64_t bytes_;
  std::vector<std::atomic<bool>> busy_;
};

}  // namespace ingot::cpu
