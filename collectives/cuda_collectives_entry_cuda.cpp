// The module's side of collectives/cuda_collectives.hpp; part of libingot_cuda.so alone.
#include <utility>

#include "collectives/algorithms/direct/direct_cuda.hpp"
#include "collectives/algorithms/tree_sum_cuda.hpp"
#include "collectives/cuda_collectives.hpp"
#include "ops/base/error.hpp"
#include "ops/device/cuda/cuda_device.hpp"
#include "ops/device/cuda_library.hpp"

#if INGOT_NCCL
#include <nccl.h>

#include "collectives/nccl/nccl_communicator.hpp"
#endif

namespace ingot {
namespace {

class Collectives final : public CudaCollectives {
 public:
  int nccl_version() override {
#if INGOT_NCCL
    int version = 0;
    return ncclGetVersion(&version) == ncclSuccess ? version : 0;
#else
    return 0;
#endif
  }
  std::string gpu_identity(Device& device) override {
    std::string text;
    for (const char byte : cuda::cuda_device(device).properties().uuid.bytes) {
      text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    return text;
  }
  std::unique_ptr<Communicator> create_nccl([[maybe_unused]] NcclOptions options) override {
#if INGOT_NCCL
    return create_nccl_communicator(std::move(options));
#else
    fail(ExitCode::kEnvironment,
         "this ingot's CUDA module was built without NCCL: build it where nccl.h and libnccl are "
         "installed, or set collectives.transport to auto or mpi");
#endif
  }
  DirectResult create_direct(const DirectOptions& options) override {
    return direct::create(options);
  }
  void tree_sum(Stream& stream, const TreeSum& sum, float* to, const float* blocks,
                std::int64_t count) override {
    cuda::tree_sum(stream, sum, to, blocks, count);
  }
};

}  // namespace

extern "C" __attribute__((visibility("default"))) void* ingot_cuda_collectives(int version) {
  static Collectives collectives;
  return version == kCudaModuleVersion ? static_cast<CudaCollectives*>(&collectives) : nullptr;
}

}  // namespace ingot
