#include "runtime/execute/upload_ring.hpp"

#include <cstring>

namespace ingot {

UploadRing::UploadRing(Device& device, std::int64_t slot_bytes) : device_(device) {
  for (Slot& slot : slots_) {
    slot.memory = device.allocate_host(slot_bytes, "staging");
    slot.copied = device.create_event();
  }
}

void UploadRing::begin() {
  current_ = (current_ + 1) % slots_.size();
  used_ = 0;
  slots_[current_].copied->synchronize();
}

void UploadRing::add(Stream& stream, void* to, const void* from, std::int64_t bytes) {
  Slot& slot = slots_[current_];
  void* staged = slot.memory.at(used_, bytes);
  used_ += rounded(bytes);
  std::memcpy(staged, from, static_cast<std::size_t>(bytes));
  device_.copy(stream, to, staged, bytes);
  stream.record(*slot.copied);
}

}  // namespace ingot
