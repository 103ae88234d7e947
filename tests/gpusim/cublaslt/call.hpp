// A product on device memory as a piece of stream work: what every matrix function of cuBLAS and
// cuBLASLt comes down to once its arguments are checked. Exported by libcublasLt for libcublas.
#pragma once

#include <cublas_api.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "blas/product.hpp"
#include "cudart/regions.hpp"

namespace gpusim::blas {

using cudart::check_regions;
using cudart::host_address;
using cudart::mark_written;
using cudart::normal;
using cudart::Region;

inline std::uint64_t alignment_of(Element element) {
  return static_cast<std::uint64_t>(size_of(element));
}

/// Puts `work` into the stream. Before each of its runs all regions must lie in live allocations
/// that `device` may access, else the run is a fault as a kernel's would be, and what is read must
/// have been written before, else that is reported; after a run without a fault what is written
/// counts as initialised. `detail` is added to the name in reports ("m 4 n 5 k 6").
cublasStatus_t enqueue(cudaStream_t stream, const std::string& name, const std::string& detail,
                       std::vector<Region> regions, std::function<Fault()> work);

/// A factor on the host or, with `address`, on the device (one value, or one per row of D).
struct Scale {
  double value = 1;
  std::uint64_t address = 0;
  bool vector = false;
  Element type = Element::kF32;
};

struct Operand {
  std::uint64_t address = 0;
  Element type = Element::kF32;
  std::int64_t row_stride = 1, column_stride = 0;  ///< elements; of the matrix after transposition
  std::int64_t batch_stride = 0;                   ///< elements
  bool pointers = false;  ///< address is that of a device array with one pointer per batch
};

struct ProductCall {
  std::string name;  ///< "cublasSgemm_v2"
  std::int64_t m = 0, n = 0, k = 0, batch = 1;
  Operand a, b, c, d;
  Arithmetic arithmetic = Arithmetic::kF32;
  Scale alpha, beta;
  int splits = 1;

  Activation activation = Activation::kNone;
  Epilogue::Gradient gradient = Epilogue::Gradient::kNone;
  std::uint64_t bias = 0;  ///< read, or written where `gradient` is not kNone
  Element bias_type = Element::kF32;
  std::int64_t bias_batch_stride = 0;
  std::uint64_t aux = 0;
  Element aux_type = Element::kF32;
  std::int64_t aux_stride = 0, aux_batch_stride = 0;

  std::uint64_t workspace = 0;
  std::int64_t workspace_bytes = 0;  ///< what the algorithm writes of it
};

cublasStatus_t enqueue_product(cudaStream_t stream, const ProductCall& call);

}  // namespace gpusim::blas
