// What the other drop-in libraries (cuBLAS, later NCCL) need of the runtime library beyond its
// public functions: work of their own in a stream. Exported from libcudart.so.13.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <string>

#include "check/access_set.hpp"
#include "execute/engine.hpp"

namespace gpusim::cudart {

/// Puts `work` into `stream` (null: the default stream of the calling thread's device; the special
/// handles are understood) behind what is there already, as a kernel would be: asynchronous, and
/// recorded as a node where the stream is being captured; each replay then calls `work` again, so
/// it must be callable more than once and own what it refers to. `accesses` are the bytes that it
/// reads and writes, for the check of the order between streams. `work` runs on the stream's
/// thread and must call no function of this library; a fault that it returns is sticky like a
/// kernel's. `name` appears in reports.
cudaError_t enqueue_work(cudaStream_t stream, std::string name, AccessSet accesses,
                         std::function<Fault()> work);

/// The device current in the calling thread. Here and below: its number in the machine, as
/// Allocation::device has it, not the program's after CUDA_VISIBLE_DEVICES.
int current_device();

/// The device that a stream belongs to (its number in the machine); -1 for a handle that is not a
/// stream.
int stream_device(cudaStream_t stream);

/// Whether calls into this stream are recorded into a graph at present.
bool is_capturing(cudaStream_t stream);

/// May a kernel on `device` touch memory of `owner`: the same one, or peer access was enabled.
bool may_access(int device, int owner);

/// Device memory that this process alone can use from now on: cudaIpcGetMemHandle refuses it.
void forbid_export(const void* memory);

/// The error that every call returns since a kernel faulted, else cudaSuccess.
cudaError_t sticky_error();

}  // namespace gpusim::cudart
