// What ops share when they check the types of one use. The checks are of ingot's own graphs, which
// are built from a validated configuration, so a violation is an internal error.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "ops/op.hpp"

namespace ingot {

/// Whether input i of a use is given; see OpTypes for how an absent one looks.
inline bool present(std::span<const TensorType> inputs, std::size_t i) {
  return i < inputs.size() && inputs[i].count() > 0;
}

/// Whether activations can have this element type.
inline bool is_floating(const TensorType& type) {
  return type.dtype == DType::kF32 || type.dtype == DType::kBf16;
}

/// Throws Error(kInternal) with the op, the expectation and the types found, where it fails.
inline void expect(bool holds, std::string_view op, std::span<const TensorType> inputs,
                   std::string_view expectation) {
  if (holds) return;
  std::string found;
  for (const TensorType& input : inputs) found += (found.empty() ? "" : ", ") + input.text();
  fail(ExitCode::kInternal, "op '{}' expects {}, and was given ({})", op, expectation, found);
}

/// Checks how many inputs a use has, optional ones at the end included or left out.
inline void expect_inputs(std::string_view op, std::span<const TensorType> inputs,
                          std::size_t least, std::size_t most) {
  expect(inputs.size() >= least && inputs.size() <= most, op, inputs,
         least == most ? fmt::format("{} inputs", least)
                       : fmt::format("{} to {} inputs", least, most));
}

/// Whether the forward use was given input `index`, which its list of inputs names even if absent.
inline bool has_input(const BackwardBuilder& builder, int index) {
  return builder.input_type(index).count() > 0;
}

/// The memory of input i, nullptr for an absent optional one.
inline const void* data_of(std::span<const TensorView> inputs, std::size_t i) {
  return i < inputs.size() ? inputs[i].data : nullptr;
}

}  // namespace ingot
