// The usual shape of a CPU kernel: a function that runs on the stream's worker and shares its loops
// with the device's thread pool.
#pragma once

#include <utility>

#include "ops/device/cpu/cpu_device.hpp"
#include "ops/op.hpp"

namespace ingot::cpu {

class CpuKernel : public Kernel {
 public:
  /// Runs on the stream's worker thread.
  virtual void run(ThreadPool& pool, const KernelArguments& arguments) = 0;

  /// One execution of a kernel at a time: the program's instruction is what is executed, and a
  /// program does not run twice at once.
  void enqueue(Stream& stream, const KernelArguments& arguments) final {
    pool_ = &pool_of(stream);
    arguments_ = &arguments;
    stream.call([](void* self) { static_cast<CpuKernel*>(self)->run_now(); }, this);
  }

 private:
  void run_now() { run(*pool_, *arguments_); }

  ThreadPool* pool_ = nullptr;
  const KernelArguments* arguments_ = nullptr;
};

/// Wraps a callable void(ThreadPool&, const KernelArguments&) into a kernel.
template <typename F>
std::unique_ptr<Kernel> make_cpu_kernel(F function, std::int64_t workspace_bytes = 0) {
  class FunctionKernel final : public CpuKernel {
   public:
    FunctionKernel(F function, std::int64_t workspace_bytes)
        : function_(std::move(function)), workspace_bytes_(workspace_bytes) {}
    std::int64_t workspace_bytes() const override { return workspace_bytes_; }
    void run(ThreadPool& pool, const KernelArguments& arguments) override {
      function_(pool, arguments);
    }

   private:
    F function_;
    std::int64_t workspace_bytes_;
  };
  return std::make_unique<FunctionKernel>(std::move(function), workspace_bytes);
}

}  // namespace ingot::cpu
