// What a stream runs and a graph holds: kernels, copies, fills, host functions. Immutable, so that
// streams, graphs and executable graphs share them; changing a node replaces its operation.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "check/access_set.hpp"
#include "execute/engine.hpp"

namespace gpusim::cudart {

struct RunContext {
  int device = 0;  ///< number in the machine
  std::string stream_name;
  std::int64_t enqueued = 0;  ///< when the host asked for the work, see peer_now
};

struct Outcome {
  Fault fault = Fault::kNone;
  std::string message;
  AccessSet accesses;
  cudaError_t error = cudaSuccess;  ///< sticky, where no fault says it (injected errors)
};

class Operation {
 public:
  virtual ~Operation() = default;
  virtual Outcome run(const RunContext& context) const = 0;
  /// Instead of run, once a fault has stopped everything. Callbacks learn of it this way.
  virtual void skip(cudaError_t) const {}
  /// After the accesses of run were checked against those of other work.
  virtual void finish() const {}
  virtual cudaGraphNodeType type() const = 0;
  virtual std::string name() const = 0;
  /// As report::add_submission names it.
  virtual const char* report_kind() const;
};

using OperationPointer = std::shared_ptr<const Operation>;

/// cudaLaunchHostFunc, and host nodes. Joins what precedes it to the host's clock.
class HostOperation : public Operation {
 public:
  HostOperation(cudaHostFn_t function, void* data) : function_(function), data_(data) {}
  Outcome run(const RunContext& context) const override;
  cudaGraphNodeType type() const override { return cudaGraphNodeTypeHost; }
  std::string name() const override { return "host function"; }
  cudaHostNodeParams parameters() const { return {function_, data_}; }

 private:
  cudaHostFn_t function_;
  void* data_;
};

/// cudaStreamAddCallback.
class CallbackOperation : public Operation {
 public:
  CallbackOperation(cudaStream_t stream, cudaStreamCallback_t callback, void* data)
      : stream_(stream), callback_(callback), data_(data) {}
  Outcome run(const RunContext& context) const override;
  void skip(cudaError_t error) const override;
  cudaGraphNodeType type() const override { return cudaGraphNodeTypeHost; }
  std::string name() const override { return "stream callback"; }

 private:
  cudaStream_t stream_;
  cudaStreamCallback_t callback_;
  void* data_;
};

/// Work of another library: see enqueue_work.
class WorkOperation : public Operation {
 public:
  WorkOperation(std::string name, AccessSet accesses, std::function<Fault()> work)
      : name_(std::move(name)), accesses_(std::move(accesses)), work_(std::move(work)) {}
  Outcome run(const RunContext& context) const override;
  cudaGraphNodeType type() const override { return cudaGraphNodeTypeKernel; }
  std::string name() const override { return name_; }
  const char* report_kind() const override { return "library"; }

 private:
  std::string name_;
  AccessSet accesses_;
  std::function<Fault()> work_;
};

/// Does nothing: markers, empty nodes.
class EmptyOperation : public Operation {
 public:
  Outcome run(const RunContext&) const override { return {}; }
  cudaGraphNodeType type() const override { return cudaGraphNodeTypeEmpty; }
  std::string name() const override { return "empty node"; }
};

/// Any other function: waits on events of other processes, attached memory and the like.
class FunctionOperation : public Operation {
 public:
  FunctionOperation(std::string name, std::function<Outcome()> function)
      : name_(std::move(name)), function_(std::move(function)) {}
  Outcome run(const RunContext&) const override { return function_(); }
  cudaGraphNodeType type() const override { return cudaGraphNodeTypeEmpty; }
  std::string name() const override { return name_; }

 private:
  std::string name_;
  std::function<Outcome()> function_;
};

/// Whether this thread is inside a host function or callback, where calls are refused.
bool in_host_function();

}  // namespace gpusim::cudart
