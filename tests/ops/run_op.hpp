// Runs a registered op's kernel on host tensors: stream and workspace are made for the one run. On
// the CPU, writes past a tensor or the workspace, and changes of inputs, fail the test. On a GPU
// (INGOT_TEST_DEVICE=cuda) every tensor is an allocation of its own and of its exact size, so that
// gpusim or compute-sanitizer sees what goes beyond it.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ops/op.hpp"
#include "tests/device.hpp"
#include "tests/ops/host_tensor.hpp"

namespace ingot::test {

struct RunOptions {
  int threads = 2;
  std::uint32_t accumulate = 0;
  /// Contents of the outputs before the run; needed for those whose accumulate bit is set.
  std::vector<HostTensor> initial = {};
  /// Lets each output of Op::in_place take over its input's memory.
  bool in_place = false;
};

inline std::vector<TensorType> types_of(const std::vector<HostTensor>& tensors) {
  std::vector<TensorType> types;
  for (const HostTensor& tensor : tensors) types.push_back(tensor.type());
  return types;
}

/// The memory of one run on a GPU: a copy of each host tensor, found by its host address.
class DeviceTensors {
 public:
  DeviceTensors(Device& device, Stream& stream) : device_(device), stream_(stream) {}

  /// Replaces the view's memory by device memory that holds a copy of it.
  void upload(TensorView& view) {
    if (view.data == nullptr) return;
    const auto bytes = view.type.bytes();
    auto found = buffers_.find(view.data);
    if (found == buffers_.end()) {
      found = buffers_.emplace(view.data, device_.allocate(bytes, "test")).first;
      device_.copy(stream_, found->second.data(), view.data, bytes);
    }
    view.data = found->second.data();
  }
  /// Copies everything back to where it came from.
  void download() {
    for (const auto& [host, buffer] : buffers_) {
      device_.copy(stream_, host, buffer.data(), buffer.bytes());
    }
    stream_.synchronize();
  }

 private:
  Device& device_;
  Stream& stream_;
  std::map<void*, Buffer> buffers_;
};

inline void run_on_cuda(Kernel& kernel, std::vector<TensorView> inputs,
                        std::vector<TensorView> outputs) {
  Device& device = cuda_device();
  const std::unique_ptr<Stream> stream = device.create_stream("test");
  DeviceTensors tensors(device, *stream);
  for (TensorView& view : inputs) tensors.upload(view);
  for (TensorView& view : outputs) tensors.upload(view);
  const Buffer workspace = device.allocate(kernel.workspace_bytes(), "test workspace");
  const KernelArguments arguments{
      inputs,
      outputs,
      {static_cast<std::byte*>(workspace.data()), static_cast<std::size_t>(workspace.bytes())}};
  kernel.enqueue(*stream, arguments);
  stream->synchronize();
  tensors.download();
}

/// Runs one op on the device under test and returns its outputs. Inputs that the op mutates (or
/// overwrites in place) are changed; any other change of an input, and any write past a tensor,
/// fails the test.
inline std::vector<HostTensor> run_op(const Registry& registry, const std::string& name,
                                      std::vector<HostTensor>& inputs, const Attributes& attributes,
                                      const RunOptions& options = {}) {
  const Op& op = registry.find(name);
  const std::vector<TensorType> input_types = types_of(inputs);
  const std::vector<TensorType> output_types = op.infer(input_types, attributes);
  std::vector<HostTensor> outputs = options.initial;
  if (outputs.empty()) {
    for (const TensorType& type : output_types) outputs.emplace_back(type);
  }
  ensure(types_of(outputs) == output_types, "initial outputs of the inferred types");

  const std::vector<HostTensor> before = inputs;
  std::uint32_t writable = op.mutated_inputs();
  std::vector<TensorView> input_views;
  std::vector<TensorView> output_views;
  for (const HostTensor& input : inputs) input_views.push_back(input.view());
  for (const HostTensor& output : outputs) output_views.push_back(output.view());
  std::vector<int> taken(outputs.size(), -1);
  for (std::size_t o = 0; options.in_place && o < outputs.size(); ++o) {
    const int input = op.in_place(static_cast<int>(o));
    if (input < 0 || inputs[static_cast<std::size_t>(input)].absent()) continue;
    EXPECT_EQ(inputs[static_cast<std::size_t>(input)].type().bytes(), output_types[o].bytes())
        << name << ": in place for tensors of different size";
    taken[o] = input;
    writable |= 1U << input;
    output_views[o].data = inputs[static_cast<std::size_t>(input)].data();
  }

  if (on_cuda()) {
    const std::unique_ptr<Kernel> kernel = cuda_registry().prepare(
        name, {cuda_device(), OpTypes{input_types, output_types, attributes}, options.accumulate});
    run_on_cuda(*kernel, input_views, output_views);
  } else {
    cpu::CpuDevice device(options.threads);
    const std::unique_ptr<Kernel> kernel = registry.prepare(
        name, {device, OpTypes{input_types, output_types, attributes}, options.accumulate});
    const HostTensor workspace(TensorType{DType::kU8, Shape{kernel->workspace_bytes()}});
    const KernelArguments arguments{
        input_views,
        output_views,
        {workspace.data(), static_cast<std::size_t>(kernel->workspace_bytes())}};
    const std::unique_ptr<Stream> stream = device.create_stream("test");
    kernel->enqueue(*stream, arguments);
    stream->synchronize();
    EXPECT_TRUE(workspace.guard_intact()) << name << " writes past its workspace";
  }
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    EXPECT_TRUE(outputs[o].guard_intact()) << name << " writes past output " << o;
    if (taken[o] >= 0) {
      std::memcpy(outputs[o].data(), inputs[static_cast<std::size_t>(taken[o])].data(),
                  static_cast<std::size_t>(output_types[o].bytes()));
    }
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_TRUE(inputs[i].guard_intact()) << name << " writes past input " << i;
    if (((writable >> i) & 1U) == 0) {
      EXPECT_TRUE(inputs[i].same_bits(before[i])) << name << " changes its input " << i;
    }
  }
  return outputs;
}

}  // namespace ingot::test
