// Operations that call functions of the host.
#include "cudart/operation.hpp"

#include "cudart/runtime.hpp"

namespace gpusim::cudart {
namespace {

thread_local int host_function_depth = 0;

/// While it lives, entry points refuse calls from this thread.
class HostFunctionScope {
 public:
  HostFunctionScope() { ++host_function_depth; }
  ~HostFunctionScope() { --host_function_depth; }
};

}  // namespace

const char* Operation::report_kind() const {
  switch (type()) {
    case cudaGraphNodeTypeKernel:
      return "kernel";
    case cudaGraphNodeTypeMemcpy:
      return "copy";
    case cudaGraphNodeTypeMemset:
      return "fill";
    case cudaGraphNodeTypeHost:
      return "host";
    case cudaGraphNodeTypeGraph:
      return "graph";
    default:
      return "other";
  }
}

bool in_host_function() {
  return host_function_depth > 0;
}

Outcome HostOperation::run(const RunContext&) const {
  HostFunctionScope scope;
  function_(data_);
  return {};
}

Outcome CallbackOperation::run(const RunContext&) const {
  HostFunctionScope scope;
  callback_(stream_, cudaSuccess, data_);
  return {};
}

void CallbackOperation::skip(cudaError_t error) const {
  HostFunctionScope scope;
  callback_(stream_, error, data_);
}

Outcome WorkOperation::run(const RunContext&) const {
  Outcome outcome;
  outcome.fault = work_();
  outcome.accesses = accesses_;
  return outcome;
}

}  // namespace gpusim::cudart
