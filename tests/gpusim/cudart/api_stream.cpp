// Streams.
#include <cuda_runtime_api.h>

#include "cudart/api.hpp"
#include "cudart/capture.hpp"
#include "cudart/event.hpp"

using namespace gpusim;
using namespace gpusim::cudart;

namespace {

constexpr int kLeastPriority = 0;
constexpr int kGreatestPriority = -5;

Runtime& runtime() {
  return Runtime::instance();
}

bool finished(const StreamPointer& stream) {
  Runtime& r = runtime();
  std::vector<CompletionPointer> ends;
  {
    std::lock_guard lock(r.mutex);
    if (stream->capture != nullptr) refuse_captured(*stream);
    refuse_implicit_capture(*stream);
    if (stream->last != nullptr) ends.push_back(stream->last);
    if (stream == stream->device().legacy) {
      for (Stream* other : stream->device().streams) {
        if (other->blocking() && other->last != nullptr) ends.push_back(other->last);
      }
    }
  }
  for (const CompletionPointer& end : ends) {
    if (!end->ready()) return false;
  }
  for (const CompletionPointer& end : ends) r.join_host(end->clock);
  return true;
}

}  // namespace

extern "C" {

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* result, unsigned flags, int priority) {
  return api("cudaStreamCreateWithPriority", [&] {
    require(result != nullptr && (flags & ~unsigned{cudaStreamNonBlocking}) == 0,
            cudaErrorInvalidValue);
    Device& device = runtime().current();
    priority = std::min(std::max(priority, kGreatestPriority), kLeastPriority);
    static std::atomic<int> made{0};
    auto stream = std::make_shared<Stream>(
        device, flags, priority,
        "stream " + std::to_string(++made) + " of device " + std::to_string(device.number));
    std::lock_guard lock(runtime().mutex);
    device.streams.insert(stream.get());
    runtime().streams[stream->handle()] = stream;
    *result = stream->handle();
  });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* result, unsigned flags) {
  return cudaStreamCreateWithPriority(result, flags, kLeastPriority);
}

cudaError_t cudaStreamCreate(cudaStream_t* result) {
  return cudaStreamCreateWithPriority(result, cudaStreamDefault, kLeastPriority);
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return api("cudaStreamDestroy", [&] {
    std::lock_guard lock(runtime().mutex);
    auto found = runtime().streams.find(handle);
    require(found != runtime().streams.end(), cudaErrorInvalidResourceHandle);
    if (found->second->capture != nullptr) found->second->capture->invalid = true;
    runtime().retire(*found->second);
    runtime().streams.erase(found);
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return api_result("cudaStreamSynchronize",
                    [&] { return wait_for(runtime().stream_or_fail(handle)); });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return api_result("cudaStreamQuery", [&] {
    const bool done = finished(runtime().stream_or_fail(handle));
    return done ? runtime().sticky() : cudaErrorNotReady;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned flags) {
  return api("cudaStreamWaitEvent", [&] {
    require((flags & ~unsigned{cudaEventWaitExternal}) == 0, cudaErrorInvalidValue);
    wait(runtime().stream_or_fail(handle), event_of(event), (flags & cudaEventWaitExternal) != 0);
  });
}

cudaError_t cudaStreamAddCallback(cudaStream_t handle, cudaStreamCallback_t callback, void* data,
                                  unsigned flags) {
  return api_result("cudaStreamAddCallback", [&] {
    require(callback != nullptr && flags == 0, cudaErrorInvalidValue);
    const StreamPointer stream = runtime().stream_or_fail(handle);
    {
      std::lock_guard lock(runtime().mutex);
      if (stream->capture != nullptr) refuse_captured(*stream);
    }
    return enqueue(stream, std::make_shared<CallbackOperation>(handle, callback, data));
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* data) {
  return api_result("cudaLaunchHostFunc", [&] {
    require(function != nullptr, cudaErrorInvalidValue);
    return enqueue(runtime().stream_or_fail(handle),
                   std::make_shared<HostOperation>(function, data));
  });
}

cudaError_t cudaStreamAttachMemAsync(cudaStream_t handle, void* pointer, size_t, unsigned flags) {
  return api("cudaStreamAttachMemAsync", [&] {
    runtime().stream_or_fail(handle);
    require(pointer != nullptr && flags <= 4, cudaErrorInvalidValue);
  });
}

cudaError_t cudaStreamGetPriority(cudaStream_t handle, int* priority) {
  return api("cudaStreamGetPriority", [&] {
    require(priority != nullptr, cudaErrorInvalidValue);
    *priority = runtime().stream_or_fail(handle)->priority();
  });
}

cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned* flags) {
  return api("cudaStreamGetFlags", [&] {
    require(flags != nullptr, cudaErrorInvalidValue);
    *flags = runtime().stream_or_fail(handle)->flags();
  });
}

cudaError_t cudaStreamGetId(cudaStream_t handle, unsigned long long* id) {
  return api("cudaStreamGetId", [&] {
    require(id != nullptr, cudaErrorInvalidValue);
    *id = runtime().stream_or_fail(handle)->id();
  });
}

cudaError_t cudaStreamGetDevice(cudaStream_t handle, int* device) {
  return api("cudaStreamGetDevice", [&] {
    require(device != nullptr, cudaErrorInvalidValue);
    *device = runtime().stream_or_fail(handle)->device().number;
  });
}

cudaError_t cudaStreamGetAttribute(cudaStream_t handle, cudaLaunchAttributeID id,
                                   cudaLaunchAttributeValue* value) {
  return api("cudaStreamGetAttribute", [&] {
    require(value != nullptr, cudaErrorInvalidValue);
    const StreamPointer stream = runtime().stream_or_fail(handle);
    std::lock_guard lock(runtime().mutex);
    if (id == cudaLaunchAttributeAccessPolicyWindow) {
      value->accessPolicyWindow = stream->access_policy;
    } else if (id == cudaLaunchAttributeSynchronizationPolicy) {
      value->syncPolicy = stream->synchronization;
    } else if (id == cudaLaunchAttributePriority) {
      value->priority = stream->priority();
    } else {
      fail(cudaErrorInvalidValue);
    }
  });
}

cudaError_t cudaStreamSetAttribute(cudaStream_t handle, cudaLaunchAttributeID id,
                                   const cudaLaunchAttributeValue* value) {
  return api("cudaStreamSetAttribute", [&] {
    require(value != nullptr, cudaErrorInvalidValue);
    const StreamPointer stream = runtime().stream_or_fail(handle);
    std::lock_guard lock(runtime().mutex);
    if (id == cudaLaunchAttributeAccessPolicyWindow) {
      stream->access_policy = value->accessPolicyWindow;
    } else if (id == cudaLaunchAttributeSynchronizationPolicy) {
      stream->synchronization = value->syncPolicy;
    } else if (id != cudaLaunchAttributePriority) {
      fail(cudaErrorInvalidValue);
    }
  });
}

cudaError_t cudaStreamCopyAttributes(cudaStream_t to, cudaStream_t from) {
  return api("cudaStreamCopyAttributes", [&] {
    const StreamPointer target = runtime().stream_or_fail(to);
    const StreamPointer source = runtime().stream_or_fail(from);
    std::lock_guard lock(runtime().mutex);
    target->access_policy = source->access_policy;
    target->synchronization = source->synchronization;
  });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return api("cudaDeviceGetStreamPriorityRange", [&] {
    if (least != nullptr) *least = kLeastPriority;
    if (greatest != nullptr) *greatest = kGreatestPriority;
  });
}

}  // extern "C"
