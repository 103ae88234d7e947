#include <array>
#include <bit>
#include <limits>

#include "ops/cuda_kernel.hpp"
#include "ops/linear/cublaslt_product.hpp"

namespace ingot::cuda {

namespace {

/// Every tensor of a memory plan begins at a multiple of 64 bytes.
constexpr std::uint32_t kAlignment = 64;
constexpr int kCandidates = 8;
constexpr int kRepetitions = 5;

cudaDataType_t type_of(DType dtype) {
  return dtype == DType::kBf16 ? CUDA_R_16BF : CUDA_R_32F;
}

std::string_view epilogue_name(cublasLtEpilogue_t epilogue) {
  switch (epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
      return "plain";
    case CUBLASLT_EPILOGUE_BIAS:
      return "bias";
    case CUBLASLT_EPILOGUE_GELU_AUX:
      return "gelu, auxiliary";
    case CUBLASLT_EPILOGUE_GELU_AUX_BIAS:
      return "bias, gelu, auxiliary";
    case CUBLASLT_EPILOGUE_DGELU:
      return "gelu gradient";
    case CUBLASLT_EPILOGUE_BGRADB:
      return "bias gradient";
    default:
      fail(ExitCode::kInternal, "epilogue {} has no name", static_cast<int>(epilogue));
  }
}

template <typename T>
void set(cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t attribute,
         const T& value) {
  check(cublasLtMatmulDescSetAttribute(description, attribute, &value, sizeof value),
        "cublasLtMatmulDescSetAttribute");
}

bool has_bias(cublasLtEpilogue_t epilogue) {
  return epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS ||
         epilogue == CUBLASLT_EPILOGUE_BGRADB;
}
bool has_auxiliary(cublasLtEpilogue_t epilogue) {
  return epilogue == CUBLASLT_EPILOGUE_GELU_AUX || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS ||
         epilogue == CUBLASLT_EPILOGUE_DGELU;
}

cublasLtMatrixLayout_t layout(DType dtype, std::int64_t rows, std::int64_t columns) {
  cublasLtMatrixLayout_t created = nullptr;
  check(cublasLtMatrixLayoutCreate(&created, type_of(dtype), static_cast<std::uint64_t>(rows),
                                   static_cast<std::uint64_t>(columns), rows),
        "cublasLtMatrixLayoutCreate");
  return created;
}

struct PreferenceDestroy {
  void operator()(cublasLtMatmulPreference_t preference) const {
    cublasLtMatmulPreferenceDestroy(preference);
  }
};
using Preference = std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, PreferenceDestroy>;

Preference create_preference() {
  cublasLtMatmulPreference_t created = nullptr;
  check(cublasLtMatmulPreferenceCreate(&created), "cublasLtMatmulPreferenceCreate");
  Preference preference(created);
  const auto set_preference = [created](cublasLtMatmulPreferenceAttributes_t attribute,
                                        const auto& value) {
    check(cublasLtMatmulPreferenceSetAttribute(created, attribute, &value, sizeof value),
          "cublasLtMatmulPreferenceSetAttribute");
  };
  set_preference(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kProductWorkspace});
  for (const auto attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    set_preference(attribute, kAlignment);
  }
  // Parts of a split sum meet in f32: the other schemes round them to the result's type.
  set_preference(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                 std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  return preference;
}

/// Zeroed scratch memory for measurements; null where there is none left.
class Scratch {
 public:
  explicit Scratch(std::int64_t bytes) {
    const auto size = static_cast<std::size_t>(bytes);
    if (cudaMalloc(&data_, size) != cudaSuccess) {
      cudaGetLastError();  // not an error of the run
      data_ = nullptr;
      return;
    }
    check(cudaMemset(data_, 0, size), "cudaMemset");
  }
  ~Scratch() { cudaFree(data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

/// Seconds of a stream's work between two events.
class StreamTimer {
 public:
  StreamTimer() {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    check(cudaEventCreate(&begin_), "cudaEventCreate");
    check(cudaEventCreate(&end_), "cudaEventCreate");
  }
  ~StreamTimer() {
    cudaEventDestroy(end_);
    cudaEventDestroy(begin_);
    cudaStreamDestroy(stream_);
  }
  StreamTimer(const StreamTimer&) = delete;
  StreamTimer& operator=(const StreamTimer&) = delete;
  cudaStream_t stream() const { return stream_; }

  template <typename F>
  double time(F work) {
    check(cudaEventRecord(begin_, stream_), "cudaEventRecord");
    work();
    check(cudaEventRecord(end_, stream_), "cudaEventRecord");
    check(cudaEventSynchronize(end_), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin_, end_), "cudaEventElapsedTime");
    return static_cast<double>(milliseconds) / 1000;
  }

 private:
  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

MatrixAlgorithm bytes_of(const cublasLtMatmulAlgo_t& algorithm, double seconds = 0) {
  return {std::bit_cast<std::array<std::uint64_t, 8>>(algorithm), seconds};
}

}  // namespace

void CublasLtProduct::Destroy::operator()(cublasLtMatmulDesc_t description) const {
  cublasLtMatmulDescDestroy(description);
}
void CublasLtProduct::Destroy::operator()(cublasLtMatrixLayout_t layout) const {
  cublasLtMatrixLayoutDestroy(layout);
}

CublasLtProduct::CublasLtProduct(Device& device, const ProductShape& shape, bool accumulate)
    : shape_(shape), beta_(accumulate ? 1.0F : 0.0F), handle_(cublaslt(device)) {
  cuda_device(device).make_current();
  cublasLtMatmulDesc_t description = nullptr;
  check(cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F),
        "cublasLtMatmulDescCreate");
  description_.reset(description);
  const auto operation = [](bool transposed) {
    return static_cast<std::int32_t>(transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  };
  set(description, CUBLASLT_MATMUL_DESC_TRANSA, operation(shape.transpose_a));
  set(description, CUBLASLT_MATMUL_DESC_TRANSB, operation(shape.transpose_b));
  set(description, CUBLASLT_MATMUL_DESC_EPILOGUE, static_cast<std::uint32_t>(shape.epilogue));
  // The heuristic looks at the alignment of these, not behind them.
  const auto* somewhere = reinterpret_cast<const void*>(std::uintptr_t{kAlignment});
  if (has_bias(shape.epilogue)) {
    set(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, somewhere);
  }
  if (has_auxiliary(shape.epilogue)) {
    set(description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, somewhere);
    set(description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{shape.m});
  }
  a_.reset(shape.transpose_a ? layout(shape.operands, shape.k, shape.m)
                             : layout(shape.operands, shape.m, shape.k));
  b_.reset(shape.transpose_b ? layout(shape.operands, shape.n, shape.k)
                             : layout(shape.operands, shape.k, shape.n));
  d_.reset(layout(shape.result, shape.m, shape.n));

  const std::string name = key(device);
  if (const auto known = matrix_algorithms().find(name)) {
    algorithm_ = *known;
    if (exists()) verify(name);
  } else {
    algorithm_ = matrix_algorithms().add(name, choose());
  }
}

std::string CublasLtProduct::key(Device& device) const {
  // Adding to D is left out: a sum must have the same bits whether it is added or stored.
  return fmt::format("{}, cuBLASLt {}: {} x {} x {} {}{} {} to {}, {}", properties(device).name,
                     cublasLtGetVersion(), shape_.m, shape_.n, shape_.k,
                     shape_.transpose_a ? 'T' : 'N', shape_.transpose_b ? 'T' : 'N',
                     name_of(shape_.operands), name_of(shape_.result),
                     epilogue_name(shape_.epilogue));
}

MatrixAlgorithm CublasLtProduct::choose() {
  const Preference preference = create_preference();
  std::array<cublasLtMatmulHeuristicResult_t, kCandidates> found{};
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(handle_, description_.get(), a_.get(), b_.get(), d_.get(),
                                     d_.get(), preference.get(), kCandidates, found.data(), &count);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || (status == CUBLAS_STATUS_SUCCESS && count == 0)) {
    return {};
  }
  check(status, "cublasLtMatmulAlgoGetHeuristic");
  if (matrix_algorithms().choice() == AlgorithmChoice::kMeasure) {
    return fastest(found.data(), count);
  }
  return bytes_of(found[0].algo);
}

MatrixAlgorithm CublasLtProduct::fastest(const cublasLtMatmulHeuristicResult_t* candidates,
                                         int count) {
  const Scratch a(shape_.m * shape_.k * size_of(shape_.operands));
  const Scratch b(shape_.k * shape_.n * size_of(shape_.operands));
  const Scratch d(shape_.m * shape_.n * size_of(shape_.result));
  const std::int64_t pre = has_auxiliary(shape_.epilogue) ? shape_.m * shape_.n : 1;
  const Scratch auxiliary(pre * size_of(shape_.result));
  const Scratch bias(std::max(shape_.m, shape_.n) * 4);
  const Scratch workspace(kProductWorkspace);
  for (const Scratch* scratch : {&a, &b, &d, &auxiliary, &bias, &workspace}) {
    if (scratch->data() == nullptr) return bytes_of(candidates[0].algo);
  }
  const ProductPointers pointers{a.data(),    b.data(),         d.data(),
                                 bias.data(), auxiliary.data(), workspace.data()};
  // The memory was zeroed in the default stream, with which the timer's stream has no order.
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  StreamTimer timer;
  MatrixAlgorithm best;
  best.seconds = std::numeric_limits<double>::infinity();
  for (int i = 0; i < count; ++i) {
    const auto once = [&] { return multiply(timer.stream(), pointers, candidates[i].algo, beta_); };
    if (once() != CUBLAS_STATUS_SUCCESS) continue;
    const double seconds = timer.time([&] {
      for (int r = 0; r < kRepetitions; ++r) {
        check(once(), "cublasLtMatmul", "measuring algorithms");
      }
    }) / kRepetitions;
    if (seconds < best.seconds) best = bytes_of(candidates[i].algo, seconds);
  }
  check(cudaStreamSynchronize(timer.stream()), "cudaStreamSynchronize");
  return best.exists() ? best : MatrixAlgorithm{};
}

void CublasLtProduct::verify(const std::string& key) const {
  const auto algorithm = std::bit_cast<cublasLtMatmulAlgo_t>(algorithm_.bytes);
  cublasLtMatmulHeuristicResult_t result{};
  const cublasStatus_t status = cublasLtMatmulAlgoCheck(
      handle_, description_.get(), a_.get(), b_.get(), d_.get(), d_.get(), &algorithm, &result);
  const bool fits = result.workspaceSize <= static_cast<std::size_t>(kProductWorkspace);
  if (status == CUBLAS_STATUS_SUCCESS && fits) return;
  fail(ExitCode::kGpu,
       "the algorithm that is given for the matrix product '{}' cannot compute it ({}); remove it "
       "from the tuning file",
       key,
       status == CUBLAS_STATUS_SUCCESS ? "its workspace is too large"
                                       : cublasLtGetStatusName(status));
}

cublasStatus_t CublasLtProduct::multiply(cudaStream_t stream, const ProductPointers& pointers,
                                         const cublasLtMatmulAlgo_t& algorithm, float beta) {
  if (has_bias(shape_.epilogue)) {
    set(description_.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, pointers.bias);
  }
  if (has_auxiliary(shape_.epilogue)) {
    set(description_.get(), CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, pointers.auxiliary);
  }
  const float alpha = 1;
  return cublasLtMatmul(handle_, description_.get(), &alpha, pointers.a, a_.get(), pointers.b,
                        b_.get(), &beta, pointers.d, d_.get(), pointers.d, d_.get(), &algorithm,
                        pointers.workspace, static_cast<std::size_t>(kProductWorkspace), stream);
}

void CublasLtProduct::run(cudaStream_t stream, const ProductPointers& pointers) {
  const auto algorithm = std::bit_cast<cublasLtMatmulAlgo_t>(algorithm_.bytes);
  check(multiply(stream, pointers, algorithm, beta_), "cublasLtMatmul");
}

}  // namespace ingot::cuda
