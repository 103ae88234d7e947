// What other libraries use: see the header.
#include "cudart/internal.hpp"

#include "cudart/api.hpp"
#include "memory/address_space.hpp"
#include "memory/peer_access.hpp"

namespace gpusim::cudart {

cudaError_t enqueue_work(cudaStream_t handle, std::string name, AccessSet accesses,
                         std::function<Fault()> work) {
  return api_result("enqueue_work", [&] {
    return enqueue(
        Runtime::instance().stream_or_fail(handle),
        std::make_shared<WorkOperation>(std::move(name), std::move(accesses), std::move(work)));
  });
}

int current_device() {
  Runtime& runtime = Runtime::instance();
  const auto number = static_cast<std::size_t>(thread_state().device);
  return number < runtime.devices.size() ? runtime.devices[number]->physical : -1;
}

int stream_device(cudaStream_t handle) {
  if (Runtime::instance().unusable() != cudaSuccess) return -1;
  const StreamPointer stream = Runtime::instance().stream(handle);
  return stream != nullptr ? stream->device().physical : -1;
}

bool is_capturing(cudaStream_t handle) {
  if (Runtime::instance().unusable() != cudaSuccess) return false;
  const StreamPointer stream = Runtime::instance().stream(handle);
  if (stream == nullptr) return false;
  std::lock_guard lock(Runtime::instance().mutex);
  return stream->capture != nullptr;
}

void forbid_export(const void* memory) {
  Allocation* block = AddressSpace::instance().find(reinterpret_cast<std::uintptr_t>(memory));
  if (block != nullptr) block->exportable = false;
}

bool may_access(int device, int owner) {
  return peer_access(device, owner);
}

cudaError_t sticky_error() {
  return Runtime::instance().sticky();
}

}  // namespace gpusim::cudart
