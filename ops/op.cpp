#include "ops/op.hpp"

namespace ingot {

namespace {

template <typename T>
const T& attribute(const Attributes& attributes, const std::string& name, const char* kind) {
  const auto found = attributes.all().find(name);
  if (found == attributes.all().end()) {
    fail(ExitCode::kInternal, "op attribute '{}' is missing", name);
  }
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr) fail(ExitCode::kInternal, "op attribute '{}' is not {}", name, kind);
  return *value;
}

}  // namespace

std::int64_t Attributes::integer(const std::string& name) const {
  return attribute<std::int64_t>(*this, name, "an integer");
}

std::int64_t Attributes::integer(const std::string& name, std::int64_t otherwise) const {
  return has(name) ? integer(name) : otherwise;
}

double Attributes::real(const std::string& name) const {
  return attribute<double>(*this, name, "a real number");
}

double Attributes::real(const std::string& name, double otherwise) const {
  return has(name) ? real(name) : otherwise;
}

const std::string& Attributes::text(const std::string& name) const {
  return attribute<std::string>(*this, name, "a text");
}

Cost streaming_cost(const OpTypes& types, double other_flops_per_output_element) {
  Cost cost;
  for (const TensorType& input : types.inputs) cost.bytes_read += input.bytes();
  for (const TensorType& output : types.outputs) {
    cost.bytes_written += output.bytes();
    cost.other_flops += other_flops_per_output_element * static_cast<double>(output.count());
  }
  return cost;
}

void Op::backward(BackwardBuilder& /*builder*/) const {
  fail(ExitCode::kInternal, "op '{}' has no backward", name());
}

void Registry::add(std::unique_ptr<Op> op) {
  std::string name(op->name());
  if (ops_.contains(name)) fail(ExitCode::kInternal, "op '{}' is registered twice", name);
  ops_.emplace(std::move(name), std::move(op));
}

void Registry::add_kernel(const std::string& op, DeviceKind device, KernelFactory factory) {
  find(op);
  if (!kernels_.emplace(std::pair(op, device), std::move(factory)).second) {
    fail(ExitCode::kInternal, "op '{}' has two kernels for device {}", op, name_of(device));
  }
}

const Op& Registry::find(std::string_view name) const {
  const auto found = ops_.find(name);
  if (found == ops_.end()) fail(ExitCode::kInternal, "there is no op '{}'", name);
  return *found->second;
}

bool Registry::has_kernel(std::string_view op, DeviceKind device) const {
  return kernels_.contains(std::pair(std::string(op), device));
}

std::unique_ptr<Kernel> Registry::prepare(std::string_view op,
                                          const PrepareContext& context) const {
  const auto found = kernels_.find(std::pair(std::string(op), context.device.kind()));
  if (found == kernels_.end()) {
    fail(ExitCode::kInternal, "op '{}' has no kernel for device {}", op,
         name_of(context.device.kind()));
  }
  return found->second(context);
}

std::vector<std::string> Registry::names() const {
  std::vector<std::string> result;
  for (const auto& [name, op] : ops_) result.push_back(name);
  return result;
}

}  // namespace ingot
