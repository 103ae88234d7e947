// The contract of an op, in three parts.
//
//   Op      what it computes: shapes, cost, in-place rules, and its backward as other ops.
//   Immutable,
//           one instance per kind, independent of any device.
//   Kernel  one use of an op on one device, with fixed types: algorithms chosen and primitives
//           created by its factory; enqueue() only starts work.
//   Registry finds both by name. It is filled by register_ops(), which CMake generates from the
//           folders below ops/ (each defines `void register_<folder>(Registry&)`), and by plugins.
//
// Rules that every kernel keeps: it allocates nothing when it runs; its result does not depend on
// the number of threads (work is cut by shapes only); it writes every element of each output, or
// adds to every element where the accumulate bit of that output is set.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ops/device/device.hpp"
#include "ops/tensor.hpp"

namespace ingot {

/// Names a tensor of the graph that is being built; kNoValue stands for an absent optional one.
using ValueId = std::int32_t;
constexpr ValueId kNoValue = -1;

/// Constants of one use of an op ("heads", "epsilon"). Reading a missing name or another type is an
/// internal error; user-facing checks belong to the configuration.
class Attributes {
 public:
  using Value = std::variant<std::int64_t, double, std::string>;
  Attributes() = default;
  Attributes(std::initializer_list<std::pair<const std::string, Value>> values) : values_(values) {}

  void set(const std::string& name, Value value) { values_[name] = std::move(value); }
  bool has(const std::string& name) const { return values_.contains(name); }
  std::int64_t integer(const std::string& name) const;
  std::int64_t integer(const std::string& name, std::int64_t otherwise) const;
  double real(const std::string& name) const;
  double real(const std::string& name, double otherwise) const;
  const std::string& text(const std::string& name) const;
  const std::map<std::string, Value>& all() const { return values_; }
  friend bool operator==(const Attributes&, const Attributes&) = default;

 private:
  std::map<std::string, Value> values_;
};

/// Types of one use of an op. An absent optional input has dtype kU8 and shape [0].
struct OpTypes {
  std::span<const TensorType> inputs;
  std::span<const TensorType> outputs;
  const Attributes& attributes;

  bool has_input(std::size_t i) const { return i < inputs.size() && inputs[i].count() > 0; }
};

/// What one execution needs at least; the estimator and the benches compare kernels with it.
struct Cost {
  double matrix_flops = 0;  ///< in matrix products that are executed
  double other_flops = 0;
  std::int64_t bytes_read = 0;
  std::int64_t bytes_written = 0;
};
/// Cost with every input read once and every output written once.
Cost streaming_cost(const OpTypes& types, double other_flops_per_output_element);

/// Through this an op writes down its own backward. Gradients are of the loss summed over the
/// batch.
class BackwardBuilder {
 public:
  virtual ~BackwardBuilder() = default;
  /// Forward values; reading one that Op::backward_reads does not name is an internal error.
  virtual ValueId input(int index) = 0;
  virtual ValueId output(int index) = 0;
  /// Gradient of an output, kNoValue where nothing depends on it.
  virtual ValueId output_gradient(int index) = 0;
  /// Whether anything wants the gradient of this input.
  virtual bool wanted(int input) const = 0;
  /// Types; that of an absent optional input is u8 [0].
  virtual const TensorType& input_type(int index) const = 0;
  virtual const TensorType& output_type(int index) const = 0;
  virtual const Attributes& attributes() const = 0;
  /// Adds an op; returns its outputs. gradient_of[o] names the forward input whose gradient output
  /// o contributes to, or -1 for a temporary. Where a gradient exists already, the builder sets the
  /// accumulate bit of that output if the op can accumulate, and adds an `add` op otherwise.
  virtual std::vector<ValueId> emit(std::string_view op, std::vector<ValueId> inputs,
                                    Attributes attributes, std::vector<int> gradient_of) = 0;
  /// Hands a value on as the gradient of an input without any op.
  virtual void pass_gradient(int input, ValueId gradient) = 0;
};

/// Which forward values backward() may read: bit i of `inputs` is input i.
struct BackwardReads {
  std::uint32_t inputs = 0;
  std::uint32_t outputs = 0;
};

class Op {
 public:
  virtual ~Op() = default;
  virtual std::string_view name() const = 0;
  /// Output types; throws Error(kInternal) naming the op and the types where they do not fit.
  virtual std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                        const Attributes& attributes) const = 0;
  virtual Cost cost(const OpTypes& types) const { return streaming_cost(types, 1); }
  /// The input whose memory output `output` may take over (when nothing reads the input later),
  /// or -1. Types of the two must be equal in bytes.
  virtual int in_place(int /*output*/) const { return -1; }
  /// Whether kernels can add to what output `output` holds.
  virtual bool can_accumulate(int /*output*/) const { return false; }
  /// Inputs that the op also writes (optimizer state, KV cache): bit i is input i.
  virtual std::uint32_t mutated_inputs() const { return 0; }
  virtual BackwardReads backward_reads(const Attributes& /*attributes*/) const { return {}; }
  /// Emits the backward ops. The default is for ops without one and throws.
  virtual void backward(BackwardBuilder& builder) const;
  virtual bool differentiable() const { return false; }
};

/// Memory that one execution of a kernel works on. Absent optional inputs have data == nullptr.
struct KernelArguments {
  std::span<const TensorView> inputs;
  std::span<const TensorView> outputs;
  std::span<std::byte> workspace;  ///< 64-byte aligned, contents undefined
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual std::int64_t workspace_bytes() const { return 0; }
  /// Starts the work; `arguments` and what its spans point at live until it is done.
  virtual void enqueue(Stream& stream, const KernelArguments& arguments) = 0;
};

/// What a kernel factory knows when it chooses its algorithm.
struct PrepareContext {
  Device& device;
  OpTypes types;
  std::uint32_t accumulate = 0;  ///< bit o: add to output o instead of overwriting it
};
using KernelFactory = std::function<std::unique_ptr<Kernel>(const PrepareContext&)>;

class Registry {
 public:
  Registry() = default;
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  void add(std::unique_ptr<Op> op);
  void add_kernel(const std::string& op, DeviceKind device, KernelFactory factory);
  /// Throws Error(kInternal) naming the op where there is none.
  const Op& find(std::string_view name) const;
  bool has_kernel(std::string_view op, DeviceKind device) const;
  std::unique_ptr<Kernel> prepare(std::string_view op, const PrepareContext& context) const;
  std::vector<std::string> names() const;

 private:
  std::map<std::string, std::unique_ptr<Op>, std::less<>> ops_;
  std::map<std::pair<std::string, DeviceKind>, KernelFactory> kernels_;
};

/// Adds every op that ships with ingot. Generated at configure time.
void register_ops(Registry& registry);

}  // namespace ingot
