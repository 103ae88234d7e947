// Loading of modules.
#include "cudart/load.hpp"

#include <dlfcn.h>

#include <atomic>
#include <cstring>

#include "cudart/runtime.hpp"
#include "fatbin/fatbin.hpp"
#include "memory/address_space.hpp"
#include "ptx/parse.hpp"

namespace gpusim::cudart {
namespace {

std::atomic<std::uint32_t> instances_made{0};

const DeviceModel& model_of(int device) {
  return machine().devices[static_cast<std::size_t>(device)];
}

const std::string& program_of(FatBinary& image) {
  if (image.program.empty()) {
    Dl_info info = {};
    const bool known = dladdr(image.wrapper, &info) != 0 && info.dli_fname != nullptr;
    image.program = known ? info.dli_fname : "the program";
  }
  return image.program;
}

std::shared_ptr<const ptx::Module> parse_image(FatBinary& image, const DeviceModel& model) {
  if (auto found = image.parsed.find(model.architecture); found != image.parsed.end()) {
    return found->second;
  }
  std::vector<std::unique_ptr<ptx::Module>> units;
  if (image.wrapper == nullptr) {
    units.push_back(ptx::parse(image.ptx, image.program));
  } else {
    fatbin::Selection selection = fatbin::select_ptx(
        image.wrapper, model.architecture, model.architecture_specific, program_of(image));
    for (const fatbin::PtxText& text : selection.texts) {
      units.push_back(ptx::parse(text.text, text.name));
    }
  }
  std::shared_ptr<const ptx::Module> module = ptx::link(std::move(units));
  image.parsed[model.architecture] = module;
  return module;
}

std::uint64_t managed_address(FatBinary& image, const std::string& name, std::size_t bytes) {
  std::uint64_t& address = image.managed[name];
  if (address == 0) {
    Allocation* block = AddressSpace::instance().allocate(bytes, MemoryKind::kManaged, 0,
                                                          "managed variable " + name);
    require(block != nullptr, cudaErrorMemoryAllocation);
    block->internal = true;
    address = block->begin;
  }
  return address;
}

void write_initial(const ModuleInstance& instance, const ptx::Variable& variable,
                   Allocation& block) {
  std::memset(block.host, 0, block.bytes);
  const std::size_t given = std::min<std::size_t>(variable.initial.size(), block.bytes);
  if (given > 0) std::memcpy(block.host, variable.initial.data(), given);
  for (const ptx::Relocation& relocation : variable.relocations) {
    std::uint64_t value = 0;
    if (relocation.function >= 0) {
      value = kFunctionBase + (static_cast<std::uint64_t>(instance.number) << 24) +
              16 * static_cast<std::uint64_t>(relocation.function);
    } else if (relocation.variable >= 0) {
      value = instance.addresses[static_cast<std::size_t>(relocation.variable)];
    }
    value += static_cast<std::uint64_t>(relocation.addend);
    value >>= relocation.shift;
    const auto bytes = static_cast<std::size_t>(relocation.bytes);
    if (relocation.at + bytes <= block.bytes && bytes <= sizeof(value)) {
      std::memcpy(block.host + relocation.at, &value, bytes);
    }
  }
  block.mark_initialised(block.begin, block.bytes);
}

void place_variables(FatBinary& image, ModuleInstance& instance) {
  AddressSpace& space = AddressSpace::instance();
  const ptx::Module& module = *instance.module;
  instance.addresses.assign(module.variables.size(), 0);
  std::vector<Allocation*> blocks(module.variables.size(), nullptr);
  for (std::size_t i = 0; i < module.variables.size(); ++i) {
    const ptx::Variable& variable = module.variables[i];
    if (variable.space != ptx::Space::kGlobal && variable.space != ptx::Space::kConst) continue;
    if (variable.linkage == ptx::Linkage::kExtern || variable.bytes == 0) continue;
    if (variable.managed) {
      const bool fresh = image.managed.count(variable.name) == 0 || image.loaded.empty();
      instance.addresses[i] = managed_address(image, variable.name, variable.bytes);
      if (fresh) blocks[i] = space.find(instance.addresses[i]);
      continue;
    }
    blocks[i] = space.allocate(variable.bytes, MemoryKind::kDevice, instance.device,
                               "variable " + variable.name);
    require(blocks[i] != nullptr, cudaErrorMemoryAllocation);
    blocks[i]->internal = true;
    instance.addresses[i] = blocks[i]->begin;
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i] == nullptr) continue;
    write_initial(instance, module.variables[i], *blocks[i]);
    blocks[i]->read_only = module.variables[i].space == ptx::Space::kConst;
  }
}

std::unique_ptr<LoadedModule> load_image(FatBinary& image, int device) {
  const DeviceModel& model = model_of(device);
  auto loaded = std::make_unique<LoadedModule>();
  loaded->instance.module = parse_image(image, model);
  loaded->instance.device = device;
  loaded->instance.number = ++instances_made;
  if (image.wrapper != nullptr) {
    loaded->registers = fatbin::register_counts(image.wrapper, model.architecture);
  }
  place_variables(image, loaded->instance);
  return loaded;
}

}  // namespace

LoadedModule& load(FatBinary& image, int device) {
  std::lock_guard lock(image.mutex);
  if (auto found = image.loaded.find(device); found != image.loaded.end()) return *found->second;
  cudaError_t error = cudaSuccess;
  try {
    std::unique_ptr<LoadedModule> loaded = load_image(image, device);
    LoadedModule& result = *loaded;
    image.loaded[device] = std::move(loaded);
    for (auto& symbol : image.symbols) {
      if (symbol->managed_cell == nullptr) continue;
      auto found = image.managed.find(symbol->name);
      if (found != image.managed.end()) {
        *symbol->managed_cell = reinterpret_cast<void*>(found->second);
      }
    }
    return result;
  } catch (const fatbin::FatbinError& problem) {
    explain(problem.what());
    error = problem.kind() == fatbin::FatbinError::Kind::kMalformed
                ? cudaErrorInvalidKernelImage
                : cudaErrorNoKernelImageForDevice;
  } catch (const ptx::ParseError& problem) {
    explain(problem.what());
    error = cudaErrorInvalidPtx;
  }
  fail(error);
}

int entry_of(const LoadedModule& module, const std::string& name) {
  const ptx::Module& code = *module.instance.module;
  auto found = code.function_by_name.find(name);
  const bool entry = found != code.function_by_name.end() &&
                     code.functions[static_cast<std::size_t>(found->second)].entry;
  if (!entry) {
    explain("kernel " + name + " is registered, but the PTX for " + code.target +
            " does not hold it");
    fail(cudaErrorInvalidDeviceFunction);
  }
  return found->second;
}

namespace {

const ptx::Variable& variable_of(Symbol& symbol, LoadedModule& module, int& index) {
  const ptx::Module& code = *module.instance.module;
  auto found = code.variable_by_name.find(symbol.name);
  require(found != code.variable_by_name.end(), cudaErrorInvalidSymbol);
  index = found->second;
  return code.variables[static_cast<std::size_t>(index)];
}

}  // namespace

std::uint64_t address_of(Symbol& symbol, int device) {
  LoadedModule& module = load(*symbol.image, device);
  int index = -1;
  variable_of(symbol, module, index);
  const std::uint64_t address = module.instance.addresses[static_cast<std::size_t>(index)];
  require(address != 0, cudaErrorInvalidSymbol);
  return address;
}

std::size_t size_of(Symbol& symbol, int device) {
  LoadedModule& module = load(*symbol.image, device);
  int index = -1;
  return variable_of(symbol, module, index).bytes;
}

void prepare_managed(FatBinary& image) {
  bool any = false;
  for (auto& symbol : image.symbols) any = any || symbol->managed_cell != nullptr;
  Runtime& runtime = Runtime::instance();
  if (!any) return;
  if (runtime.unusable() == cudaSuccess) {
    load(image, runtime.current().physical);
    return;
  }
  // Without a device host code may still use its managed variables.
  std::lock_guard lock(image.mutex);
  for (auto& symbol : image.symbols) {
    if (symbol->managed_cell == nullptr || *symbol->managed_cell != nullptr) continue;
    *symbol->managed_cell =
        reinterpret_cast<void*>(managed_address(image, symbol->name, symbol->bytes));
  }
}

void unload(FatBinary& image, int device) {
  std::lock_guard lock(image.mutex);
  AddressSpace& space = AddressSpace::instance();
  for (auto it = image.loaded.begin(); it != image.loaded.end();) {
    if (device >= 0 && it->first != device) {
      ++it;
      continue;
    }
    for (std::uint64_t address : it->second->instance.addresses) {
      Allocation* block = address != 0 ? space.find(address) : nullptr;
      if (block != nullptr && block->kind == MemoryKind::kDevice) space.release(*block);
    }
    // Graphs may hold operations that refer to the module: it is kept, its memory is gone.
    image.retired.push_back(std::move(it->second));
    it = image.loaded.erase(it);
  }
}

void Registry::unload_from(int device) {
  std::vector<FatBinary*> images;
  {
    std::lock_guard lock(mutex_);
    for (auto& image : images_) images.push_back(image.get());
  }
  for (FatBinary* image : images) unload(*image, device);
}

}  // namespace gpusim::cudart
