#include "cublaslt/call.hpp"

#include <memory>
#include <utility>

#include "cudart/internal.hpp"

namespace gpusim::blas {

namespace {

cublasStatus_t status_of(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return CUBLAS_STATUS_SUCCESS;
    case cudaErrorMemoryAllocation:
      return CUBLAS_STATUS_ALLOC_FAILED;
    default:
      return CUBLAS_STATUS_EXECUTION_FAILED;
  }
}

cublasStatus_t put(cudaStream_t stream, const std::string& name, const std::vector<Region>& regions,
                   std::function<Fault()> work) {
  return status_of(
      cudart::enqueue_work(stream, name, cudart::accesses_of(regions), std::move(work)));
}

}  // namespace

cublasStatus_t enqueue(cudaStream_t stream, const std::string& name, const std::string& detail,
                       std::vector<Region> regions, std::function<Fault()> work) {
  std::erase_if(regions, [](const Region& r) { return r.bytes == 0 || r.runs == 0; });
  for (Region& region : regions) region = normal(region);
  const int device = cudart::stream_device(stream);
  const std::string full_name = detail.empty() ? name : name + " (" + detail + ")";
  const auto shared = std::make_shared<const std::vector<Region>>(std::move(regions));
  return put(stream, name, *shared, [full_name, device, shared, work = std::move(work)] {
    Fault fault = check_regions(full_name, device, *shared);
    if (fault == Fault::kNone) fault = work();
    if (fault == Fault::kNone) mark_written(*shared);
    return fault;
  });
}

}  // namespace gpusim::blas
