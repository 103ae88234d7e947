// Copies and fills.
#include <cuda_runtime_api.h>

#include "cudart/api.hpp"
#include "cudart/copy.hpp"
#include "cudart/load.hpp"

using namespace gpusim;
using namespace gpusim::cudart;

namespace {

CopySide flat(const void* pointer, size_t bytes) {
  return {pointer, bytes, bytes};
}

void copy_flat(const char* name, void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
               cudaStream_t stream, bool synchronous) {
  submit_copy(make_copy(name, flat(to, bytes), flat(from, bytes), {bytes, 1, 1}, kind), stream,
              synchronous);
}

void copy_rows(const char* name, void* to, size_t to_pitch, const void* from, size_t from_pitch,
               size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t stream,
               bool synchronous) {
  submit_copy(make_copy(name, {to, to_pitch, to_pitch * height},
                        {from, from_pitch, from_pitch * height}, {width, height, 1}, kind),
              stream, synchronous);
}

/// The address of `offset` in a variable of the current device.
void* symbol_place(const void* host, size_t offset, size_t bytes) {
  Symbol* symbol = Registry::instance().symbol(host);
  require(symbol != nullptr, cudaErrorInvalidSymbol);
  const int device = Runtime::instance().current().physical;
  const std::size_t size = size_of(*symbol, device);
  require(offset <= size && bytes <= size - offset, cudaErrorInvalidValue);
  return reinterpret_cast<void*>(address_of(*symbol, device) + offset);
}

cudaMemcpy3DParms plain(const cudaMemcpy3DPeerParms& peer) {
  cudaMemcpy3DParms result = {};
  result.srcArray = peer.srcArray;
  result.srcPos = peer.srcPos;
  result.srcPtr = peer.srcPtr;
  result.dstArray = peer.dstArray;
  result.dstPos = peer.dstPos;
  result.dstPtr = peer.dstPtr;
  result.extent = peer.extent;
  result.kind = cudaMemcpyDefault;
  return result;
}

void check_devices(int to, int from) {
  Runtime::instance().device(to);
  Runtime::instance().device(from);
}

}  // namespace

extern "C" {

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return api("cudaMemcpy", [&] { copy_flat("cudaMemcpy", to, from, bytes, kind, nullptr, true); });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return api("cudaMemcpyAsync",
             [&] { copy_flat("cudaMemcpyAsync", to, from, bytes, kind, stream, false); });
}

cudaError_t cudaMemcpyPeer(void* to, int to_device, const void* from, int from_device,
                           size_t bytes) {
  return api("cudaMemcpyPeer", [&] {
    check_devices(to_device, from_device);
    copy_flat("cudaMemcpyPeer", to, from, bytes, cudaMemcpyDefault, nullptr, true);
  });
}

cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device,
                                size_t bytes, cudaStream_t stream) {
  return api("cudaMemcpyPeerAsync", [&] {
    check_devices(to_device, from_device);
    copy_flat("cudaMemcpyPeerAsync", to, from, bytes, cudaMemcpyDefault, stream, false);
  });
}

cudaError_t cudaMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                         size_t width, size_t height, cudaMemcpyKind kind) {
  return api("cudaMemcpy2D", [&] {
    copy_rows("cudaMemcpy2D", to, to_pitch, from, from_pitch, width, height, kind, nullptr, true);
  });
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  return api("cudaMemcpy2DAsync", [&] {
    copy_rows("cudaMemcpy2DAsync", to, to_pitch, from, from_pitch, width, height, kind, stream,
              false);
  });
}

cudaError_t cudaMemcpy3D(const cudaMemcpy3DParms* parameters) {
  return api("cudaMemcpy3D", [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    submit_copy(make_copy("cudaMemcpy3D", *parameters), nullptr, true);
  });
}

cudaError_t cudaMemcpy3DAsync(const cudaMemcpy3DParms* parameters, cudaStream_t stream) {
  return api("cudaMemcpy3DAsync", [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    submit_copy(make_copy("cudaMemcpy3DAsync", *parameters), stream, false);
  });
}

cudaError_t cudaMemcpy3DPeer(const cudaMemcpy3DPeerParms* parameters) {
  return api("cudaMemcpy3DPeer", [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    submit_copy(make_copy("cudaMemcpy3DPeer", plain(*parameters)), nullptr, true);
  });
}

cudaError_t cudaMemcpy3DPeerAsync(const cudaMemcpy3DPeerParms* parameters, cudaStream_t stream) {
  return api("cudaMemcpy3DPeerAsync", [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    submit_copy(make_copy("cudaMemcpy3DPeerAsync", plain(*parameters)), stream, false);
  });
}

cudaError_t cudaMemcpyBatchAsync(void* const* to, const void* const* from, const size_t* bytes,
                                 size_t count, cudaMemcpyAttributes*, size_t*, size_t,
                                 cudaStream_t stream) {
  return api("cudaMemcpyBatchAsync", [&] {
    require(to != nullptr && from != nullptr && bytes != nullptr, cudaErrorInvalidValue);
    for (size_t i = 0; i < count; ++i) {
      copy_flat("cudaMemcpyBatchAsync", to[i], from[i], bytes[i], cudaMemcpyDefault, stream, false);
    }
  });
}

cudaError_t cudaMemcpyToSymbol(const void* symbol, const void* from, size_t bytes, size_t offset,
                               cudaMemcpyKind kind) {
  return api("cudaMemcpyToSymbol", [&] {
    copy_flat("cudaMemcpyToSymbol", symbol_place(symbol, offset, bytes), from, bytes, kind, nullptr,
              true);
  });
}

cudaError_t cudaMemcpyToSymbolAsync(const void* symbol, const void* from, size_t bytes,
                                    size_t offset, cudaMemcpyKind kind, cudaStream_t stream) {
  return api("cudaMemcpyToSymbolAsync", [&] {
    copy_flat("cudaMemcpyToSymbolAsync", symbol_place(symbol, offset, bytes), from, bytes, kind,
              stream, false);
  });
}

cudaError_t cudaMemcpyFromSymbol(void* to, const void* symbol, size_t bytes, size_t offset,
                                 cudaMemcpyKind kind) {
  return api("cudaMemcpyFromSymbol", [&] {
    copy_flat("cudaMemcpyFromSymbol", to, symbol_place(symbol, offset, bytes), bytes, kind, nullptr,
              true);
  });
}

cudaError_t cudaMemcpyFromSymbolAsync(void* to, const void* symbol, size_t bytes, size_t offset,
                                      cudaMemcpyKind kind, cudaStream_t stream) {
  return api("cudaMemcpyFromSymbolAsync", [&] {
    copy_flat("cudaMemcpyFromSymbolAsync", to, symbol_place(symbol, offset, bytes), bytes, kind,
              stream, false);
  });
}

cudaError_t cudaGetSymbolAddress(void** address, const void* symbol) {
  return api("cudaGetSymbolAddress", [&] {
    require(address != nullptr, cudaErrorInvalidValue);
    *address = symbol_place(symbol, 0, 0);
  });
}

cudaError_t cudaGetSymbolSize(size_t* bytes, const void* host) {
  return api("cudaGetSymbolSize", [&] {
    Symbol* symbol = Registry::instance().symbol(host);
    require(bytes != nullptr, cudaErrorInvalidValue);
    require(symbol != nullptr, cudaErrorInvalidSymbol);
    *bytes = size_of(*symbol, Runtime::instance().current().physical);
  });
}

cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  return api("cudaMemset", [&] {
    submit_fill(
        make_fill("cudaMemset", flat(to, bytes), {bytes, 1, 1}, static_cast<unsigned>(value), 1),
        nullptr, true);
  });
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  return api("cudaMemsetAsync", [&] {
    submit_fill(make_fill("cudaMemsetAsync", flat(to, bytes), {bytes, 1, 1},
                          static_cast<unsigned>(value), 1),
                stream, false);
  });
}

cudaError_t cudaMemset2DAsync(void* to, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream) {
  return api("cudaMemset2DAsync", [&] {
    submit_fill(make_fill("cudaMemset2DAsync", {to, pitch, pitch * height}, {width, height, 1},
                          static_cast<unsigned>(value), 1),
                stream, false);
  });
}

cudaError_t cudaMemset2D(void* to, size_t pitch, int value, size_t width, size_t height) {
  return cudaMemset2DAsync(to, pitch, value, width, height, nullptr);
}

cudaError_t cudaMemset3DAsync(cudaPitchedPtr to, int value, cudaExtent extent,
                              cudaStream_t stream) {
  return api("cudaMemset3DAsync", [&] {
    submit_fill(
        make_fill("cudaMemset3DAsync", {to.ptr, to.pitch, to.pitch * to.ysize},
                  {extent.width, extent.height, extent.depth}, static_cast<unsigned>(value), 1),
        stream, false);
  });
}

cudaError_t cudaMemset3D(cudaPitchedPtr to, int value, cudaExtent extent) {
  return cudaMemset3DAsync(to, value, extent, nullptr);
}

}  // extern "C"
