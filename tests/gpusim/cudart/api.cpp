// Checks that precede every call.
#include "cudart/api.hpp"

#include <atomic>
#include <mutex>

#include "cudart/capture.hpp"

namespace gpusim::cudart {

cudaError_t injected(const std::string& call, int device) {
  static std::mutex* mutex = new std::mutex;
  static std::vector<std::uint64_t>* counts = new std::vector<std::uint64_t>;
  const auto& faults = machine().faults;
  if (faults.empty()) return cudaSuccess;
  std::lock_guard lock(*mutex);
  counts->resize(faults.size());
  cudaError_t result = cudaSuccess;
  for (std::size_t i = 0; i < faults.size(); ++i) {
    const InjectedFault& fault = faults[i];
    if (fault.call != call || (fault.device >= 0 && fault.device != device)) continue;
    if (++(*counts)[i] != fault.count || result != cudaSuccess) continue;
    result = fault.error != 0 ? static_cast<cudaError_t>(fault.error) : cudaErrorUnknown;
    explain("the machine file injects " + std::string(cudaGetErrorName(result)) + " at " + call);
  }
  return result;
}

cudaError_t enter(const char* name) {
  Runtime& runtime = Runtime::instance();
  if (runtime.unusable() != cudaSuccess) return runtime.unusable();
  if (runtime.forked()) return cudaErrorInitializationError;
  if (in_host_function()) {
    explain(std::string(name) + " was called from a host function or callback of a stream");
    return cudaErrorNotPermitted;
  }
  if (runtime.sticky() != cudaSuccess) return runtime.sticky();
  if (machine().faults.empty()) return cudaSuccess;
  const auto number = static_cast<std::size_t>(thread_state().device);
  return injected(name, runtime.devices[number]->physical);
}

cudaError_t leave(cudaError_t error) {
  if (error != cudaSuccess) thread_state().last_error = error;
  return error;
}

void refuse_during_capture() {
  const cudaStreamCaptureMode mine = thread_state().capture_mode;
  if (mine == cudaStreamCaptureModeRelaxed) return;
  Runtime& runtime = Runtime::instance();
  std::lock_guard lock(runtime.mutex);
  bool refused = false;
  for (auto& session : active_captures()) {
    if (session->mode == cudaStreamCaptureModeRelaxed || session->invalid) continue;
    const bool own = session->thread == std::this_thread::get_id();
    const bool global = session->mode == cudaStreamCaptureModeGlobal;
    if (!own && (!global || mine != cudaStreamCaptureModeGlobal)) continue;
    session->invalid = true;
    refused = true;
  }
  require(!refused, cudaErrorStreamCaptureUnsupported);
}

}  // namespace gpusim::cudart
