#include "ops/device/cuda/cuda_device.hpp"

#include <nvtx3/nvToolsExt.h>

#include <atomic>
#include <chrono>
#include <typeinfo>
#include <utility>

#include "ops/base/error.hpp"
#include "ops/device/cuda/check.hpp"
#include "ops/device/cuda/cuda_stream.hpp"
#include "ops/device/cuda/recording.hpp"

namespace ingot::cuda {
namespace {

constexpr double kMebibyte = 1 << 20;
/// Bytes of shared memory below which a transport's granularity, some 2 MiB, would waste too much.
constexpr std::int64_t kLeastShared = 8 << 20;

/// Null where there is no memory left.
void* allocate_memory(std::size_t bytes) {
  void* data = nullptr;
  const cudaError_t code = cudaMalloc(&data, bytes);
  if (code == cudaErrorMemoryAllocation) return nullptr;
  check(code, "cudaMalloc");
  return data;
}

void release_memory(void* data) {
  (void)cudaFree(data);
}

CudaStream& cuda_stream(Stream& stream) {
  ensure(typeid(stream) == typeid(CudaStream), "a stream of the CUDA device");
  return static_cast<CudaStream&>(stream);
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

/// What was allocated, by label, for the message when no more can be. Buffers share it.
struct CudaDevice::Blocks {
  mutable std::mutex mutex;
  std::map<const void*, std::pair<std::string, std::int64_t>> device;
  std::int64_t bytes = 0;

  void add(const void* data, const std::string& label, std::int64_t size) {
    const std::scoped_lock lock(mutex);
    device[data] = {label, size};
    bytes += size;
  }
  void remove(const void* data) {
    const std::scoped_lock lock(mutex);
    const auto found = device.find(data);
    bytes -= found->second.second;
    device.erase(found);
  }
  std::string table() const {
    const std::scoped_lock lock(mutex);
    std::map<std::string, std::int64_t> by_label;
    for (const auto& [data, block] : device) by_label[block.first] += block.second;
    std::string text;
    for (const auto& [label, size] : by_label) {
      text += fmt::format("\n  {:<24}{:>12.1f} MiB", label, static_cast<double>(size) / kMebibyte);
    }
    return text;
  }
};

CudaDevice::CudaDevice(int ordinal) : ordinal_(ordinal), blocks_(std::make_shared<Blocks>()) {
  make_current();
  check(cudaGetDeviceProperties(&properties_, ordinal), "cudaGetDeviceProperties");
  check(cudaHostAlloc(reinterpret_cast<void**>(&fault_), sizeof(KernelFault), cudaHostAllocDefault),
        "cudaHostAlloc", "kernel reports");
  *fault_ = {};
  // The clock of events begins here: nothing else runs yet, so that the event is reached at once.
  check(cudaEventCreateWithFlags(&origin_, cudaEventDefault), "cudaEventCreateWithFlags");
  check(cudaEventRecord(origin_, nullptr), "cudaEventRecord");
  check(cudaEventSynchronize(origin_), "cudaEventSynchronize");
  origin_seconds_ = now();
}

CudaDevice::~CudaDevice() {
  if (cublaslt_ != nullptr) (void)cublasLtDestroy(cublaslt_);
  (void)cudaEventDestroy(origin_);
  (void)cudaFreeHost(fault_);
}

void CudaDevice::raise_fault() {
  const std::atomic_ref<std::int32_t> kind(fault_->kind);
  if (kind.load(std::memory_order_acquire) == 0 || fault_handler_ == nullptr) return;
  const KernelFault fault = std::exchange(*fault_, KernelFault{});
  fault_handler_(fault);
}

void CudaDevice::throw_if_given_up() const {
  if (const char* why = given_up_.load()) fail(ExitCode::kTimeout, "{}", why);
}

void CudaDevice::make_current() const {
  check(cudaSetDevice(ordinal_), "cudaSetDevice");
}

std::string CudaDevice::description() const {
  return fmt::format("cuda, GPU {}: {}, sm_{}{}, {} multiprocessors, {:.0f} MiB", ordinal_,
                     properties_.name, properties_.major, properties_.minor,
                     properties_.multiProcessorCount,
                     static_cast<double>(properties_.totalGlobalMem) / kMebibyte);
}

std::unique_ptr<Stream> CudaDevice::create_stream(const std::string& name) {
  return std::make_unique<CudaStream>(*this, name == "communication");
}

std::unique_ptr<Event> CudaDevice::create_event() {
  make_current();
  return std::make_unique<CudaEvent>(origin_, origin_seconds_);
}

Buffer CudaDevice::allocate(std::int64_t bytes, const std::string& label) {
  return allocate_by({allocate_memory, release_memory}, bytes, label);
}

Buffer CudaDevice::allocate_shared(std::int64_t bytes, const std::string& label) {
  const bool own = shared_allocator_.allocate == nullptr || bytes < kLeastShared;
  return own ? allocate(bytes, label) : allocate_by(shared_allocator_, bytes, label);
}

Buffer CudaDevice::allocate_by(const Allocator& allocator, std::int64_t bytes,
                               const std::string& label) {
  ensure(bytes >= 0, "a number of bytes that is not negative");
  if (bytes == 0) return {};
  make_current();
  void* data = allocator.allocate(static_cast<std::size_t>(bytes));
  if (data == nullptr) {
    (void)cudaGetLastError();
    std::size_t free = 0;
    std::size_t total = 0;
    (void)cudaMemGetInfo(&free, &total);
    fail(ExitCode::kGpu,
         "{}: out of memory: {} needs {:.1f} MiB, and {:.1f} of {:.1f} MiB are free. Allocated so "
         "far:{}",
         current_device_name(), label, static_cast<double>(bytes) / kMebibyte,
         static_cast<double>(free) / kMebibyte, static_cast<double>(total) / kMebibyte,
         blocks_->table());
  }
  blocks_->add(data, label, bytes);
  return Buffer(
      data, bytes,
      [blocks = blocks_, release = allocator.release](void* address, std::int64_t /*length*/) {
        blocks->remove(address);
        release(address);
      });
}

Buffer CudaDevice::allocate_host(std::int64_t bytes, const std::string& label) {
  ensure(bytes >= 0, "a number of bytes that is not negative");
  if (bytes == 0) return {};
  make_current();
  void* data = nullptr;
  check(cudaHostAlloc(&data, static_cast<std::size_t>(bytes), cudaHostAllocDefault),
        "cudaHostAlloc", label);
  return Buffer(data, bytes,
                [](void* address, std::int64_t /*length*/) { (void)cudaFreeHost(address); });
}

std::int64_t CudaDevice::available_bytes() const {
  make_current();
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return static_cast<std::int64_t>(free);
}

std::unique_ptr<Recording> CudaDevice::record(Stream& origin, const std::string& name,
                                              const std::function<void()>& enqueue) {
  make_current();
  return std::make_unique<GraphRecording>(native(origin), name, enqueue);
}

void CudaDevice::enter_range(const char* name) {
  nvtxRangePushA(name);
}

void CudaDevice::leave_range() {
  nvtxRangePop();
}

void CudaDevice::copy(Stream& stream, void* to, const void* from, std::int64_t bytes) {
  if (bytes == 0) return;
  check(
      cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDefault, native(stream)),
      "cudaMemcpyAsync");
}

void CudaDevice::fill_zero(Stream& stream, void* to, std::int64_t bytes) {
  if (bytes == 0) return;
  check(cudaMemsetAsync(to, 0, static_cast<std::size_t>(bytes), native(stream)), "cudaMemsetAsync");
}

std::int64_t CudaDevice::allocated_bytes() const {
  const std::scoped_lock lock(blocks_->mutex);
  return blocks_->bytes;
}

cublasLtHandle_t CudaDevice::cublaslt() {
  std::call_once(cublaslt_once_, [this] {
    make_current();
    const cublasStatus_t status = cublasLtCreate(&cublaslt_);
    if (status != CUBLAS_STATUS_SUCCESS) {
      fail(ExitCode::kGpu, "{}: cublasLtCreate failed: {}", current_device_name(),
           cublasLtGetStatusName(status));
    }
  });
  return cublaslt_;
}

cudaStream_t native(Stream& stream) {
  return cuda_stream(stream).native();
}

CudaDevice& cuda_device(Device& device) {
  ensure(typeid(device) == typeid(CudaDevice), "the CUDA device");
  return static_cast<CudaDevice&>(device);
}

}  // namespace ingot::cuda
