#include "ops/device/cpu/cpu_device.hpp"

#include "ops/base/error.hpp"
#include "ops/device/cpu/cpu_stream.hpp"
#include "ops/device/cpu/memory.hpp"
#include "ops/device/cpu/sequence.hpp"
#include "ops/device/cpu/worker_thread.hpp"

namespace ingot::cpu {
namespace {

/// The widest vectors that kernels can use here.
const char* vector_instructions() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bf16")) return "AVX-512 with bf16";
  if (__builtin_cpu_supports("avx512f")) return "AVX-512";
  if (__builtin_cpu_supports("avx2")) return "AVX2";
  return "SSE2";
#elif defined(__aarch64__)
  return "NEON";
#else
  return "scalar";
#endif
}

CpuStream& cpu_stream(Stream& stream) {
  ensure(stream.device().kind() == DeviceKind::kCpu, "a stream of the CPU device");
  return static_cast<CpuStream&>(stream);
}

}  // namespace

struct CpuDevice::State {
  State(int threads, std::chrono::nanoseconds spin_limit)
      : spin(spin_limit), pool(threads, spin_limit) {}

  std::chrono::nanoseconds spin;
  ThreadPool pool;
  std::shared_ptr<Memory> memory = std::make_shared<Memory>();
};

// The thread that enqueues is awake beside each process's kernel threads.
CpuDevice::CpuDevice(int threads, int processes)
    : state_(std::make_unique<State>(threads, spin_time(std::int64_t{threads + 1} * processes))) {
  keep_openmp_on_this_thread();
}

CpuDevice::~CpuDevice() = default;

std::string CpuDevice::description() const {
  const int threads = state_->pool.threads();
  return fmt::format("cpu, {} thread{}, {}", threads, threads == 1 ? "" : "s",
                     vector_instructions());
}

std::unique_ptr<Stream> CpuDevice::create_stream(const std::string& name) {
  return std::make_unique<CpuStream>(*this, name, state_->spin);
}

std::unique_ptr<Event> CpuDevice::create_event() {
  return std::make_unique<CpuEvent>(state_->spin);
}

Buffer CpuDevice::allocate(std::int64_t bytes, const std::string& label) {
  return state_->memory->allocate(bytes, label);
}

void CpuDevice::copy(Stream& stream, void* to, const void* from, std::int64_t bytes) {
  cpu_stream(stream).copy(to, from, bytes);
}

void CpuDevice::fill_zero(Stream& stream, void* to, std::int64_t bytes) {
  cpu_stream(stream).fill_zero(to, bytes);
}

std::int64_t CpuDevice::allocated_bytes() const {
  return state_->memory->allocated_bytes();
}

ThreadPool& CpuDevice::pool() {
  return state_->pool;
}

ThreadPool& pool_of(Stream& stream) {
  Device& device = stream.device();
  ensure(device.kind() == DeviceKind::kCpu, "a stream of the CPU device");
  return static_cast<CpuDevice&>(device).pool();
}

}  // namespace ingot::cpu
