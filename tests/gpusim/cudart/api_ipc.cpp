// Memory and events shared between processes.
#include <cuda_runtime_api.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <map>

#include "cudart/api.hpp"
#include "cudart/event.hpp"
#include "memory/address_space.hpp"
#include "memory/peer_access.hpp"
#include "report/traffic.hpp"

using namespace gpusim;
using namespace gpusim::cudart;

namespace {

constexpr std::uint64_t kEventMagic = 0x67707573696d0002;

struct EventHandle {
  std::uint64_t magic;
  std::int32_t process;
  std::int32_t descriptor;
  std::uint32_t flags;
};

static_assert(sizeof(AddressSpace::PeerHandle) <= sizeof(cudaIpcMemHandle_t));
static_assert(sizeof(EventHandle) <= sizeof(cudaIpcEventHandle_t));

/// Opening the same memory twice gives the same address; it goes with the last close.
struct Imported {
  Allocation* block = nullptr;
  int count = 0;
};

struct Imports {
  std::mutex mutex;
  std::map<std::string, Imported> by_handle;
};

Imports& imports() {
  static Imports* all = new Imports;
  return *all;
}

}  // namespace

extern "C" {

cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t* handle, void* pointer) {
  return api("cudaIpcGetMemHandle", [&] {
    require(handle != nullptr, cudaErrorInvalidValue);
    AddressSpace& space = AddressSpace::instance();
    // As on hardware the handle is that of the whole block, also for an address inside.
    Allocation* block = space.find(reinterpret_cast<std::uint64_t>(pointer));
    require(block != nullptr && block->live && block->kind == MemoryKind::kDevice,
            cudaErrorInvalidValue);
    if (!block->exportable) {
      report::add_library_memory("exports_refused", 0);
      explain("cudaIpcGetMemHandle: memory of ncclMemAlloc cannot be shared with other processes");
      fail(cudaErrorInvalidValue);
    }
    const AddressSpace::PeerHandle peer = space.export_block(*block);
    std::memset(handle, 0, sizeof(*handle));
    std::memcpy(handle, &peer, sizeof(peer));
  });
}

cudaError_t cudaIpcOpenMemHandle(void** pointer, cudaIpcMemHandle_t handle, unsigned flags) {
  return unsafe_api("cudaIpcOpenMemHandle", [&] {
    require(pointer != nullptr && flags == cudaIpcMemLazyEnablePeerAccess, cudaErrorInvalidValue);
    const int device = Runtime::instance().current().physical;
    AddressSpace::PeerHandle peer;
    std::memcpy(static_cast<void*>(&peer), &handle, sizeof(peer));
    std::lock_guard lock(imports().mutex);
    Imported& imported = imports().by_handle[std::string(handle.reserved, sizeof(handle))];
    if (imported.block == nullptr) {
      std::string why;
      imported.block = AddressSpace::instance().import_block(peer, why);
      if (imported.block == nullptr) {
        explain("cudaIpcOpenMemHandle: " + why);
        fail(cudaErrorInvalidResourceHandle);
      }
    }
    if (peer.device != device) {
      require(peer_access_possible(device, peer.device), cudaErrorPeerAccessUnsupported);
      set_peer_access(device, peer.device, true);
    }
    ++imported.count;
    *pointer = reinterpret_cast<void*>(imported.block->begin);
  });
}

cudaError_t cudaIpcCloseMemHandle(void* pointer) {
  return unsafe_api("cudaIpcCloseMemHandle", [&] {
    for (auto& device : Runtime::instance().devices) {
      if (device->used) wait_for(*device);
    }
    std::lock_guard lock(imports().mutex);
    auto& all = imports().by_handle;
    for (auto it = all.begin(); it != all.end(); ++it) {
      Allocation* block = it->second.block;
      if (block == nullptr || block->begin != reinterpret_cast<std::uint64_t>(pointer)) continue;
      if (--it->second.count == 0) {
        StreamOrder::instance().forget(block->begin, block->bytes);
        AddressSpace::instance().release(*block);
        all.erase(it);
      }
      return;
    }
    fail(cudaErrorInvalidValue);
  });
}

cudaError_t cudaIpcGetEventHandle(cudaIpcEventHandle_t* handle, cudaEvent_t event) {
  return api("cudaIpcGetEventHandle", [&] {
    const EventPointer known = event_of(event);
    require(handle != nullptr && known->shared != nullptr && known->exporter == getpid(),
            cudaErrorInvalidResourceHandle);
    const EventHandle shared = {kEventMagic, getpid(), known->shared_descriptor, known->flags};
    std::memset(handle, 0, sizeof(*handle));
    std::memcpy(handle, &shared, sizeof(shared));
  });
}

cudaError_t cudaIpcOpenEventHandle(cudaEvent_t* event, cudaIpcEventHandle_t handle) {
  return api("cudaIpcOpenEventHandle", [&] {
    require(event != nullptr, cudaErrorInvalidValue);
    EventHandle shared;
    std::memcpy(&shared, &handle, sizeof(shared));
    require(shared.magic == kEventMagic && shared.process != getpid(),
            cudaErrorInvalidResourceHandle);
    const std::string path =
        "/proc/" + std::to_string(shared.process) + "/fd/" + std::to_string(shared.descriptor);
    const int descriptor = open(path.c_str(), O_RDWR | O_CLOEXEC);
    require(descriptor >= 0, cudaErrorInvalidResourceHandle);
    void* page =
        mmap(nullptr, sizeof(SharedEvent), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    require(page != MAP_FAILED, cudaErrorInvalidResourceHandle);
    *event = new_event(shared.flags);
    const EventPointer known = event_of(*event);
    known->shared = static_cast<SharedEvent*>(page);
    known->exporter = shared.process;
  });
}

}  // extern "C"
