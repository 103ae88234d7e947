// One representative use of every op, in the sizes of a GPT and of a table model: what
// `ingot bench ops` measures. Sizes are chosen by what the device needs to be busy.
#pragma once

#include <string>
#include <vector>

#include "ops/op.hpp"

namespace ingot {

/// What an input is filled with.
enum class Fill : std::uint8_t {
  kRandom,   ///< uniform in [-1, 1)
  kIndices,  ///< integers in [0, bound)
  kScalars,  ///< StepScalars of a plausible step, `bound` entries in a KV cache
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

/// As they stand: 6 layers, width 384, context 256, 4 sequences per rank; busy enough for a CPU.
struct CaseSizes {
  std::int64_t batch = 4;
  std::int64_t length = 256;
  std::int64_t width = 384;
  std::int64_t heads = 6;
  std::int64_t vocabulary = 8192;
  std::int64_t rows = 4096;                       ///< of a table
  std::int64_t elements = std::int64_t{1} << 22;  ///< of a parameter store
};
CaseSizes tiny_sizes();  ///< for trying it out, and for simulated GPUs
CaseSizes gpt2_sizes();  ///< of GPT-2 124M: busy enough for a GPU

/// Cases of all ops of ingot in this element type; those without a choice of type only in f32.
std::vector<OpCase> op_cases(DType type, const CaseSizes& sizes = {});

}  // namespace ingot
