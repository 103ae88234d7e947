// What programs and libraries register at start: fat binaries, kernels, variables. Filled from
// constructors before main, so nothing is parsed, allocated on a device or read from files then.
#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "execute/engine.hpp"
#include "ptx/module.hpp"

namespace gpusim::cudart {

struct FatBinary;

/// A kernel of a registered fat binary; cudaKernel_t, cudaFunction_t and host stubs lead here.
struct Kernel {
  FatBinary* image = nullptr;
  std::string name;  ///< mangled
  const void* host = nullptr;
  std::once_flag shown_once;
  std::string shown;  ///< see shown_name
  /// cudaFuncSetAttribute, per machine device.
  std::map<int, int> max_dynamic_shared;
  std::map<int, int> carveout;
  std::map<int, KernelProperties> properties;
  cudaKernel_t handle() { return reinterpret_cast<cudaKernel_t>(this); }
};

/// A variable that host code knows.
struct Symbol {
  FatBinary* image = nullptr;
  std::string name;
  const void* host = nullptr;
  std::size_t bytes = 0;
  bool constant = false;
  void** managed_cell = nullptr;  ///< to be filled with the managed address
};

/// A module on a device.
struct LoadedModule {
  ModuleInstance instance;
  std::map<std::string, int> registers;  ///< by kernel, as cubins state them
};

struct FatBinary {
  const void* wrapper = nullptr;
  std::string ptx;      ///< cudaLibraryLoadData of a text: instead of the wrapper
  std::string program;  ///< for messages, found at first use
  bool registered = true;
  std::vector<std::unique_ptr<Kernel>> kernels;
  std::vector<std::unique_ptr<Symbol>> symbols;
  std::mutex mutex;                                          ///< guards what follows
  std::map<int, std::unique_ptr<LoadedModule>> loaded;       ///< by machine device
  std::map<int, std::shared_ptr<const ptx::Module>> parsed;  ///< by architecture
  std::map<std::string, std::uint64_t> managed;              ///< addresses by name
  std::vector<std::unique_ptr<LoadedModule>> retired;
};

class Registry {
 public:
  static Registry& instance();

  FatBinary* add(const void* wrapper);
  void add_kernel(FatBinary& image, const void* host, const char* name);
  void add_symbol(FatBinary& image, Symbol symbol);
  void remove(FatBinary& image);

  /// By host stub or by handle; null for neither.
  Kernel* kernel(const void* stub_or_handle);
  Symbol* symbol(const void* host);
  /// A kernel by name, made known if the image has it: libraries loaded at run time.
  Kernel* kernel_named(FatBinary& image, const std::string& name);
  FatBinary* image(const void* handle);
  /// Frees the modules of a device; they are loaded anew when used again.
  void unload_from(int device);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<FatBinary>> images_;
  std::unordered_map<const void*, Kernel*> kernels_;
  std::unordered_map<const void*, Symbol*> symbols_;
};

}  // namespace gpusim::cudart
