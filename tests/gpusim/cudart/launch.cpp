// Checks of a launch and the operation that runs it.
#include "cudart/launch.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "cudart/api.hpp"
#include "cudart/load.hpp"
#include "report/report.hpp"

namespace gpusim::cudart {
namespace {

constexpr std::size_t kMaxParameterBytes = 32764;

const DeviceModel& model_of(int device) {
  return machine().devices[static_cast<std::size_t>(device)];
}

std::string text_of(const dim3& d) {
  return std::to_string(d.x) + "x" + std::to_string(d.y) + "x" + std::to_string(d.z);
}

[[noreturn]] void refuse(cudaError_t error, Kernel& kernel, const std::string& why) {
  explain("launch of " + shown_name(kernel) + " refused: " + why);
  fail(error);
}

void check_shape(Kernel& kernel, int device, const ptx::Function& function,
                 const LaunchShape& shape) {
  const DeviceModel& model = model_of(device);
  const dim3& grid = shape.grid;
  const dim3& block = shape.block;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || block.x == 0 || block.y == 0 || block.z == 0) {
    refuse(cudaErrorInvalidConfiguration, kernel,
           "grid " + text_of(grid) + ", block " + text_of(block) + " is empty");
  }
  if (grid.x > 0x7fffffffU || grid.y > 65535 || grid.z > 65535) {
    refuse(cudaErrorInvalidConfiguration, kernel, "grid " + text_of(grid) + " is too large");
  }
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  if (block.x > 1024 || block.y > 1024 || block.z > 64 || threads > 1024) {
    refuse(cudaErrorInvalidConfiguration, kernel,
           "block " + text_of(block) + " exceeds 1024 threads (64 in z)");
  }
  const std::uint32_t* required = function.required_threads;
  if (required[0] != 0 && (block.x != required[0] || block.y != std::max(required[1], 1U) ||
                           block.z != std::max(required[2], 1U))) {
    refuse(cudaErrorInvalidConfiguration, kernel,
           "block " + text_of(block) + " is not the one it was compiled for");
  }
  const KernelProperties& properties = properties_of(kernel, device);
  if (threads > properties.max_threads) {
    refuse(cudaErrorLaunchOutOfResources, kernel,
           std::to_string(threads) + " threads per block, its launch bounds allow " +
               std::to_string(properties.max_threads));
  }
  // Registers are given to warps in units of 256.
  const std::uint64_t per_warp = (std::uint64_t{properties.registers} * 32 + 255) / 256 * 256;
  if ((threads + 31) / 32 * per_warp > model.registers_per_multiprocessor) {
    refuse(cudaErrorLaunchOutOfResources, kernel,
           std::to_string(properties.registers) + " registers for each of " +
               std::to_string(threads) + " threads do not fit");
  }
  const auto limit = static_cast<std::uint64_t>(dynamic_shared_limit(kernel, device));
  if (shape.dynamic_shared > limit) {
    refuse(cudaErrorInvalidValue, kernel,
           std::to_string(shape.dynamic_shared) + " bytes of dynamic shared memory, " +
               std::to_string(limit) +
               " allowed (cudaFuncAttributeMaxDynamicSharedMemorySize raises that up to " +
               std::to_string(model.shared_per_block_optin - properties.static_shared_bytes) + ")");
  }
  if (shape.cluster.x != 0) {
    const dim3& cluster = shape.cluster;
    const std::uint64_t blocks = std::uint64_t{cluster.x} * cluster.y * cluster.z;
    if (model.architecture < 90 || blocks > 16 || blocks == 0 || grid.x % cluster.x != 0 ||
        grid.y % cluster.y != 0 || grid.z % cluster.z != 0) {
      refuse(cudaErrorInvalidClusterSize, kernel,
             "cluster " + text_of(cluster) + " for grid " + text_of(grid));
    }
  }
  if (shape.cooperative) {
    const int resident =
        blocks_per_multiprocessor(properties, model, static_cast<std::uint32_t>(threads),
                                  static_cast<std::uint32_t>(shape.dynamic_shared));
    const std::uint64_t blocks = std::uint64_t{grid.x} * grid.y * grid.z;
    if (blocks >
        static_cast<std::uint64_t>(resident) * static_cast<std::uint64_t>(model.multiprocessors)) {
      refuse(cudaErrorCooperativeLaunchTooLarge, kernel,
             std::to_string(blocks) + " blocks, " +
                 std::to_string(resident * model.multiprocessors) + " fit the device at once");
    }
  }
}

}  // namespace

const std::string& shown_name(Kernel& kernel) {
  std::call_once(kernel.shown_once, [&kernel] {
    int status = 0;
    char* text = abi::__cxa_demangle(kernel.name.c_str(), nullptr, nullptr, &status);
    kernel.shown = status == 0 && text != nullptr ? text : kernel.name;
    std::free(text);
  });
  return kernel.shown;
}

Kernel& kernel_or_fail(const void* function) {
  Kernel* kernel = Registry::instance().kernel(function);
  if (kernel == nullptr) {
    explain("a launch names a function that no fat binary registered");
    fail(cudaErrorInvalidDeviceFunction);
  }
  return *kernel;
}

const KernelProperties& properties_of(Kernel& kernel, int device) {
  LoadedModule& module = load(*kernel.image, device);
  const int function = entry_of(module, kernel.name);
  std::lock_guard lock(kernel.image->mutex);
  auto found = kernel.properties.find(device);
  if (found != kernel.properties.end()) return found->second;
  KernelProperties properties;
  try {
    properties = kernel_properties(*module.instance.module, function);
  } catch (const std::exception& error) {
    explain(error.what());
    fail(cudaErrorInvalidPtx);
  }
  auto known = module.registers.find(kernel.name);
  if (known != module.registers.end()) {
    properties.registers = static_cast<std::uint32_t>(known->second);
  }
  return kernel.properties.emplace(device, properties).first->second;
}

int dynamic_shared_limit(Kernel& kernel, int device) {
  const KernelProperties& properties = properties_of(kernel, device);
  const DeviceModel& model = model_of(device);
  std::lock_guard lock(kernel.image->mutex);
  auto found = kernel.max_dynamic_shared.find(device);
  if (found != kernel.max_dynamic_shared.end()) return found->second;
  return std::max(0, static_cast<int>(model.shared_per_block) -
                         static_cast<int>(properties.static_shared_bytes));
}

std::shared_ptr<KernelOperation> make_kernel(Kernel& kernel, int device, const LaunchShape& shape,
                                             void** arguments, void** extra) {
  LoadedModule& module = load(*kernel.image, device);
  const int index = entry_of(module, kernel.name);
  const ptx::Function& function =
      module.instance.module->functions[static_cast<std::size_t>(index)];
  check_shape(kernel, device, function, shape);
  auto operation = std::make_shared<KernelOperation>();
  operation->kernel = &kernel;
  operation->device = device;
  operation->module = &module.instance;
  operation->function = index;
  operation->shape = shape;
  if (function.cluster[0] != 0 && shape.cluster.x == 0) {
    operation->shape.cluster = dim3(function.cluster[0], std::max(function.cluster[1], 1U),
                                    std::max(function.cluster[2], 1U));
  }
  require(function.parameter_bytes <= kMaxParameterBytes, cudaErrorInvalidValue);
  operation->parameters.resize(function.parameter_bytes);
  if (!function.parameters.empty() && arguments == nullptr && extra != nullptr) {
    // {1, buffer, 2, pointer to its size, 0}: the driver's form with one packed buffer.
    const void* buffer = nullptr;
    std::size_t bytes = 0;
    for (void** word = extra; *word != nullptr; word += 2) {
      if (word[0] == reinterpret_cast<void*>(1)) buffer = word[1];
      if (word[0] == reinterpret_cast<void*>(2)) bytes = *static_cast<std::size_t*>(word[1]);
    }
    require(buffer != nullptr && bytes <= operation->parameters.size(), cudaErrorInvalidValue);
    std::memcpy(operation->parameters.data(), buffer, bytes);
  } else {
    require(function.parameters.empty() || arguments != nullptr, cudaErrorInvalidValue);
    for (std::size_t i = 0; i < function.parameters.size(); ++i) {
      const ptx::Variable& parameter = function.parameters[i];
      require(arguments[i] != nullptr, cudaErrorInvalidValue);
      std::memcpy(operation->parameters.data() + parameter.offset, arguments[i], parameter.bytes);
    }
  }
  for (const ptx::Variable& parameter : function.parameters) {
    operation->argument_pointers.push_back(operation->parameters.data() + parameter.offset);
  }
  return operation;
}

std::string KernelOperation::name() const {
  return "kernel " + shown_name(*kernel);
}

Outcome KernelOperation::run(const RunContext& context) const {
  Outcome outcome;
  if (!machine().faults.empty()) {
    for (const std::string& call : {"kernel:" + kernel->name, std::string("device lost")}) {
      outcome.error = injected(call, device);
      if (outcome.error != cudaSuccess) return outcome;
    }
  }
  LaunchRequest request;
  request.module = module;
  request.function = function;
  request.grid = {shape.grid.x, shape.grid.y, shape.grid.z};
  request.block = {shape.block.x, shape.block.y, shape.block.z};
  if (shape.cluster.x != 0) {
    request.cluster = {shape.cluster.x, shape.cluster.y, shape.cluster.z};
  }
  request.dynamic_shared_bytes = static_cast<std::uint32_t>(shape.dynamic_shared);
  request.parameters = parameters;
  request.cooperative = shape.cooperative;
  request.stream_name = context.stream_name;
  request.enqueued = context.enqueued;
  LaunchOutcome result = run_kernel(request);
  report::add(kernel->name, device, result.counters);
  outcome.fault = result.fault;
  outcome.message = std::move(result.message);
  outcome.accesses = std::move(result.accesses);
  return outcome;
}

}  // namespace gpusim::cudart
