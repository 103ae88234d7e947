// cublasLtMatmul: the checks that need pointers, then the product as stream work.
#include <algorithm>
#include <cstdint>

#include "cublaslt/algorithms.hpp"
#include "cublaslt/library.hpp"
#include "cudart/internal.hpp"

namespace gpusim::blas {

namespace {

std::uint64_t number(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

double host_value(const void* pointer, Element type) {
  return load_element(static_cast<const std::byte*>(pointer), type, 0);
}

/// alpha and beta, wherever the pointer mode says they are.
Verdict set_scales(const ProductDescription& description, const void* alpha, const void* beta,
                   ProductCall& call) {
  const auto mode = static_cast<cublasLtPointerMode_t>(description.pointer_mode);
  const bool beta_zero = mode == CUBLASLT_POINTER_MODE_ALPHA_DEVICE_VECTOR_BETA_ZERO;
  if (alpha == nullptr || (beta == nullptr && !beta_zero)) {
    return invalid("alpha or beta is null");
  }
  const bool vector = mode == CUBLASLT_POINTER_MODE_DEVICE_VECTOR || beta_zero ||
                      mode == CUBLASLT_POINTER_MODE_ALPHA_DEVICE_VECTOR_BETA_HOST;
  if (vector && call.batch > 1) return unsupported("vectors of alpha with batches");
  if (vector && call.alpha.type == Element::kF16) return unsupported("vectors of f16 alpha");
  switch (mode) {
    case CUBLASLT_POINTER_MODE_HOST:
      call.alpha.value = host_value(alpha, call.alpha.type);
      call.beta.value = host_value(beta, call.beta.type);
      return {};
    case CUBLASLT_POINTER_MODE_DEVICE:
    case CUBLASLT_POINTER_MODE_DEVICE_VECTOR:
      call.alpha.address = number(alpha);
      call.beta.address = number(beta);
      call.alpha.vector = call.beta.vector = vector;
      return {};
    case CUBLASLT_POINTER_MODE_ALPHA_DEVICE_VECTOR_BETA_ZERO:
    case CUBLASLT_POINTER_MODE_ALPHA_DEVICE_VECTOR_BETA_HOST:
      call.alpha.address = number(alpha);
      call.alpha.vector = true;
      call.beta.value = beta_zero ? 0 : host_value(beta, call.beta.type);
      return {};
  }
  return invalid("an unknown pointer mode");
}

bool same_layout(const Layout& c, const Layout& d) {
  return c.type == d.type && c.order == d.order && c.leading == d.leading &&
         c.batch_stride == d.batch_stride;
}

Verdict check_pointers(const ProductDescription& description, const Layouts& layouts,
                       ProductCall& call) {
  if (call.a.address == 0 || call.b.address == 0 || call.d.address == 0) {
    return invalid("a matrix is null");
  }
  const bool reads_c = call.beta.address != 0 || call.beta.value != 0;
  if (reads_c && call.c.address == 0) return invalid("C is null and beta is not zero");
  if (call.c.address == call.d.address && !same_layout(*layouts.c, *layouts.d)) {
    return invalid("C and D are one memory with two layouts");
  }
  const bool bias = (description.epilogue & CUBLASLT_EPILOGUE_BIAS) != 0 ||
                    call.gradient != Epilogue::Gradient::kNone;
  if (bias && call.bias == 0) return invalid("the epilogue lacks its bias pointer");
  if (call.bias % static_cast<std::uint64_t>(size_of(call.bias_type)) != 0) {
    return invalid("the bias pointer is not aligned to its elements");
  }
  constexpr std::uint32_t kAux = 128;
  if ((description.epilogue & kAux) != 0 && call.aux == 0) {
    return invalid("the epilogue lacks its auxiliary pointer");
  }
  if (call.aux % 16 != 0) return invalid("the auxiliary pointer is not aligned to 16 bytes");
  return {};
}

std::uint64_t alignment(std::uint64_t address) {
  constexpr std::uint64_t kMost = 256;
  const std::uint64_t lowest_bit = address & (~address + 1);
  return address == 0 ? kMost : std::min(kMost, lowest_bit);
}

/// The given algorithm, or the best that fits pointers and workspace.
Verdict choose_algorithm(const ProductDescription& description, const Layouts& layouts,
                         const cublasLtMatmulAlgo_t* given, const void* workspace,
                         std::uint64_t workspace_bytes, ProductCall& call) {
  const Alignments alignments{alignment(call.a.address), alignment(call.b.address),
                              alignment(call.c.address), alignment(call.d.address)};
  std::uint64_t needed = 0;
  if (given != nullptr) {
    const auto* algorithm = contents<Algorithm>(static_cast<const void*>(given));
    if (algorithm == nullptr) return invalid("the algorithm is not one of this library");
    const Verdict verdict =
        check_algorithm(*algorithm, description, layouts, call, alignments, needed);
    if (!verdict.ok()) return verdict;
    call.splits = algorithm->splits;
  } else {
    Preference preference;
    preference.workspace_bytes = workspace == nullptr ? 0 : workspace_bytes;
    preference.alignment_a = static_cast<std::uint32_t>(alignments.a);
    preference.alignment_b = static_cast<std::uint32_t>(alignments.b);
    preference.alignment_c = static_cast<std::uint32_t>(alignments.c);
    preference.alignment_d = static_cast<std::uint32_t>(alignments.d);
    const std::vector<Candidate> found = candidates(description, layouts, call, preference);
    if (found.empty()) return unsupported("no algorithm fits");
    call.splits = found.front().algorithm.splits;
    needed = found.front().workspace_bytes;
  }
  if (needed > 0 && (workspace == nullptr || workspace_bytes < needed)) {
    return invalid("the algorithm needs a workspace of " + std::to_string(needed) + " bytes");
  }
  if (number(workspace) % 16 != 0) return invalid("the workspace is not aligned to 16 bytes");
  call.workspace = number(workspace);
  call.workspace_bytes = static_cast<std::int64_t>(needed);
  return {};
}

}  // namespace

}  // namespace gpusim::blas

using namespace gpusim::blas;

extern "C" cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                                         const void* alpha, const void* a,
                                         cublasLtMatrixLayout_t layout_a, const void* b,
                                         cublasLtMatrixLayout_t layout_b, const void* beta,
                                         const void* c, cublasLtMatrixLayout_t layout_c, void* d,
                                         cublasLtMatrixLayout_t layout_d,
                                         const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                                         size_t workspace_bytes, cudaStream_t stream) {
  const char* name = "cublasLtMatmul";
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  const auto* product = contents<ProductDescription>(static_cast<const void*>(description));
  if (product == nullptr) return conclude(name, invalid("no description"));
  const Layouts layouts{contents<Layout>(static_cast<const void*>(layout_a)),
                        contents<Layout>(static_cast<const void*>(layout_b)),
                        contents<Layout>(static_cast<const void*>(layout_c)),
                        contents<Layout>(static_cast<const void*>(layout_d))};
  ProductCall call;
  call.name = name;
  Verdict verdict = check_problem(*product, layouts, call);
  call.a.address = number(a);
  call.b.address = number(b);
  call.c.address = number(c);
  call.d.address = number(d);
  if (verdict.ok()) verdict = set_scales(*product, alpha, beta, call);
  if (verdict.ok()) verdict = check_pointers(*product, layouts, call);
  if (verdict.ok()) {
    verdict = choose_algorithm(*product, layouts, algorithm, workspace, workspace_bytes, call);
  }
  if (verdict.ok() && gpusim::cudart::stream_device(stream) != handle->device) {
    verdict = invalid("the stream is not one of the handle's device");
  }
  if (!verdict.ok()) return conclude(name, verdict);
  return enqueue_product(stream, call);
}
