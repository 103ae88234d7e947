#include "ops/cuda_fault.hpp"

#include "ops/base/error.hpp"
#include "ops/index_groups.hpp"

namespace ingot::cuda {

void throw_fault(const KernelFault& fault) {
  const auto index_of = [&](std::string_view op) {
    cpu::expect_index(op, fault.value, fault.at, fault.limit);
  };
  switch (static_cast<FaultKind>(fault.kind)) {
    case FaultKind::kNone:
      return;
    case FaultKind::kTokenIndex:
    case FaultKind::kPositionIndex:
      index_of("embedding");
      return;
    case FaultKind::kGradientIndex:
      index_of("embedding_backward");
      return;
    case FaultKind::kCategoryIndex:
      index_of("tabular_input");
      return;
    case FaultKind::kCategoryGradientIndex:
      index_of("tabular_input_backward");
      return;
    case FaultKind::kTarget:
      fail(ExitCode::kBadData,
           "cross_entropy: target {} of row {} is not below the {} classes of the model; check "
           "that the data set was made for this model",
           fault.value, fault.at, fault.limit);
    case FaultKind::kBinaryLabel:
      fail(ExitCode::kBadData,
           "binary_cross_entropy: label {} of row {} is neither 0 nor 1; a model with more classes "
           "needs the multi-class loss",
           fault.value, fault.at);
    case FaultKind::kChunkPosition:
      fail(ExitCode::kInternal, "select_position: position {} of a chunk of {}", fault.value,
           fault.limit);
  }
  fail(ExitCode::kInternal, "a kernel reported a fault of the unknown kind {}", fault.kind);
}

}  // namespace ingot::cuda
