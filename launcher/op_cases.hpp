// One representative use of every op: the sizes of a GPT of 6 layers, width 384, 6 heads, context
// 256, 4 sequences per rank, and of a table model. What `ingot bench ops` measures.
#pragma once

#include <string>
#include <vector>

#include "ops/op.hpp"

namespace ingot {

/// What an input is filled with.
enum class Fill : std::uint8_t {
  kRandom,   ///< uniform in [-1, 1)
  kIndices,  ///< integers in [0, bound)
  kScalars,  ///< StepScalars of a plausible step
  kConstant  ///< `bound` everywhere
};

struct CaseInput {
  TensorType type;
  Fill fill = Fill::kRandom;
  std::int64_t bound = 0;
};

struct OpCase {
  std::string op;
  DType type = DType::kF32;  ///< of its floating inputs, as the table of results calls it
  std::vector<CaseInput> inputs;
  Attributes attributes;
};

/// Cases of all ops of ingot in this element type; those without a choice of type only in f32.
std::vector<OpCase> op_cases(DType type);

}  // namespace ingot
