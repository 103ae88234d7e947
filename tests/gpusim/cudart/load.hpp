// Modules at first use: PTX chosen, parsed and linked once per architecture, its variables placed
// in the memory of each device that uses it.
#pragma once

#include <cuda_runtime_api.h>

#include "cudart/registry.hpp"

namespace gpusim::cudart {

/// The module on a device of the machine. Fails with what is wrong with the image, and says it.
LoadedModule& load(FatBinary& image, int device);
/// The index of an entry function; fails with cudaErrorInvalidDeviceFunction.
int entry_of(const LoadedModule& module, const std::string& name);
/// Address of a variable on a device; fails with cudaErrorInvalidSymbol.
std::uint64_t address_of(Symbol& symbol, int device);
std::size_t size_of(Symbol& symbol, int device);
/// Gives addresses to the managed variables of an image and tells its host code.
void prepare_managed(FatBinary& image);
/// Frees the module of a device, or of all (-1): cudaDeviceReset, cudaLibraryUnload.
void unload(FatBinary& image, int device);

}  // namespace gpusim::cudart
