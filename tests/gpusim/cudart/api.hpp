// How every entry point of the library is made: checks that hold for all calls, the body, and the
// error that cudaGetLastError will tell.
#pragma once

#include <new>
#include <string>

#include "cudart/runtime.hpp"

namespace gpusim::cudart {

/// What refuses any call: no driver, no device, a forked child, a sticky error, a host function
/// that calls back, an injected fault.
cudaError_t enter(const char* name);
/// Remembers an error for cudaGetLastError.
cudaError_t leave(cudaError_t error);
/// Calls that may wait or touch all streams are prohibited while a stream is captured, depending
/// on the capture's mode and the thread's; the captures concerned become invalid.
void refuse_during_capture();
/// The error of the fault that the machine file injects at this call, else cudaSuccess. `call` is
/// the name of an entry point, "kernel:NAME" or "device lost"; `device` counts in the machine.
cudaError_t injected(const std::string& call, int device);

template <typename Body>
cudaError_t guarded(Body&& body) {
  try {
    body();
    return cudaSuccess;
  } catch (const Failure& failure) {
    return failure.error;
  } catch (const std::bad_alloc&) {
    return cudaErrorMemoryAllocation;
  }
}

/// An entry point. The body returns nothing and fails by fail() or require().
template <typename Body>
cudaError_t api(const char* name, Body&& body) {
  cudaError_t error = enter(name);
  if (error == cudaSuccess) error = guarded(body);
  return leave(error);
}

/// An entry point that a capture refuses.
template <typename Body>
cudaError_t unsafe_api(const char* name, Body&& body) {
  return api(name, [&] {
    refuse_during_capture();
    body();
  });
}

/// An entry point whose body gives the error itself.
template <typename Body>
cudaError_t api_result(const char* name, Body&& body) {
  return api(name, [&] {
    cudaError_t error = body();
    if (error != cudaSuccess) fail(error);
  });
}

}  // namespace gpusim::cudart
