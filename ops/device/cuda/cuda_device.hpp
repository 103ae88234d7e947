// One GPU as a device. Memory is cudaMalloc's, host memory is pinned, and work can be recorded into
// CUDA graphs. Nothing here decides which GPU a rank takes: see launcher/device.hpp.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "ops/device/cuda/kernel_fault.hpp"
#include "ops/device/device.hpp"

namespace ingot::cuda {

class CudaDevice final : public Device {
 public:
  /// Throws Error(kGpu) where the GPU cannot be used. Streams, events and recordings are destroyed
  /// before their device; buffers may outlive it.
  explicit CudaDevice(int ordinal);
  ~CudaDevice() override;
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  DeviceKind kind() const override { return DeviceKind::kCuda; }
  std::string description() const override;
  bool host_visible() const override { return false; }
  std::unique_ptr<Stream> create_stream(const std::string& name) override;
  std::unique_ptr<Event> create_event() override;
  Buffer allocate(std::int64_t bytes, const std::string& label) override;
  Buffer allocate_shared(std::int64_t bytes, const std::string& label) override;
  Buffer allocate_host(std::int64_t bytes, const std::string& label) override;
  std::int64_t available_bytes() const override;
  std::unique_ptr<Recording> record(Stream& origin, const std::string& name,
                                    const std::function<void()>& enqueue) override;
  void enter_range(const char* name) override;
  void leave_range() override;
  void copy(Stream& stream, void* to, const void* from, std::int64_t bytes) override;
  void fill_zero(Stream& stream, void* to, std::int64_t bytes) override;
  std::int64_t allocated_bytes() const override;

  int ordinal() const { return ordinal_; }
  const cudaDeviceProp& properties() const { return properties_; }
  /// Made at the first use, then kept: one for all streams, since Lt takes the stream per call.
  cublasLtHandle_t cublaslt();
  /// Where kernels report values that they cannot use. Streams look at it when they synchronize,
  /// and let the handler throw what it stands for; it is then free for the next report.
  KernelFault* fault() const { return fault_; }
  void set_fault_handler(FaultHandler handler) { fault_handler_ = handler; }
  void raise_fault();
  /// From now on no stream of this GPU synchronizes without Error(kTimeout): what it waited for was
  /// broken off, and its memory holds anything. From any thread, once; `why` lives for ever.
  void give_up(const char* why) { given_up_.store(why); }
  void throw_if_given_up() const;
  /// Where allocate_shared() gets large memory from from now on: a transport's own functions, null
  /// where there is none left. They live for ever.
  struct Allocator {
    void* (*allocate)(std::size_t bytes) = nullptr;
    void (*release)(void* data) = nullptr;
  };
  void set_shared_allocator(const Allocator& allocator) { shared_allocator_ = allocator; }
  /// Makes this GPU the calling thread's.
  void make_current() const;

 private:
  struct Blocks;

  Buffer allocate_by(const Allocator& allocator, std::int64_t bytes, const std::string& label);

  int ordinal_;
  cudaDeviceProp properties_{};
  std::shared_ptr<Blocks> blocks_;
  cudaEvent_t origin_ = nullptr;  ///< reached at origin_seconds_
  double origin_seconds_ = 0;
  std::once_flag cublaslt_once_;
  cublasLtHandle_t cublaslt_ = nullptr;
  KernelFault* fault_ = nullptr;  ///< pinned
  FaultHandler fault_handler_ = nullptr;
  Allocator shared_allocator_;
  std::atomic<const char*> given_up_{nullptr};
};

/// The stream that a Stream of this device stands for.
cudaStream_t native(Stream& stream);
/// The CUDA device behind a Device; an internal error for any other.
CudaDevice& cuda_device(Device& device);

}  // namespace ingot::cuda
