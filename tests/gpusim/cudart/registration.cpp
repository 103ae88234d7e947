// The entry points that nvcc's start-up code calls.
#include <cuda_runtime_api.h>

#include "cudart/api.hpp"
#include "cudart/load.hpp"
#include "cudart/registry.hpp"

using namespace gpusim::cudart;

namespace {

FatBinary& image_of(void** handle) {
  return *reinterpret_cast<FatBinary*>(handle);
}

}  // namespace

extern "C" {

void** __cudaRegisterFatBinary(void* wrapper);
void __cudaRegisterFatBinaryEnd(void** handle);
void __cudaUnregisterFatBinary(void** handle);
void __cudaRegisterFunction(void** handle, const char* host, char* device, const char* name,
                            int thread_limit, uint3* thread, uint3* block, dim3* block_dimension,
                            dim3* grid_dimension, int* warp_size);
void __cudaRegisterVar(void** handle, char* host, char* device, const char* name, int external,
                       size_t bytes, int constant, int global);
void __cudaRegisterManagedVar(void** handle, void** cell, char* device, const char* name,
                              int external, size_t bytes, int constant, int global);
void __cudaRegisterHostVar(void** handle, const char* name, char* host, size_t bytes);
void __cudaRegisterUnifiedTable(void** handle, void* table);
char __cudaInitModule(void** handle);

void** __cudaRegisterFatBinary(void* wrapper) {
  return reinterpret_cast<void**>(Registry::instance().add(wrapper));
}

void __cudaRegisterFatBinaryEnd(void**) {}

void __cudaUnregisterFatBinary(void** handle) {
  if (handle != nullptr) Registry::instance().remove(image_of(handle));
}

void __cudaRegisterFunction(void** handle, const char* host, char*, const char* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  Registry::instance().add_kernel(image_of(handle), host, name);
}

void __cudaRegisterVar(void** handle, char* host, char*, const char* name, int, size_t bytes,
                       int constant, int) {
  Symbol symbol;
  symbol.host = host;
  symbol.name = name;
  symbol.bytes = bytes;
  symbol.constant = constant != 0;
  Registry::instance().add_symbol(image_of(handle), symbol);
}

void __cudaRegisterManagedVar(void** handle, void** cell, char*, const char* name, int,
                              size_t bytes, int, int) {
  Symbol symbol;
  symbol.host = cell;
  symbol.name = name;
  symbol.bytes = bytes;
  symbol.managed_cell = cell;
  Registry::instance().add_symbol(image_of(handle), symbol);
}

void __cudaRegisterHostVar(void**, const char*, char*, size_t) {}

void __cudaRegisterUnifiedTable(void**, void*) {}

/// Host code calls this before it reads or writes a managed variable.
char __cudaInitModule(void** handle) {
  if (handle == nullptr) return 1;
  return leave(guarded([&] { prepare_managed(image_of(handle)); })) == cudaSuccess ? 1 : 0;
}

}  // extern "C"
