#include "cublaslt/problem.hpp"

#include <array>

namespace gpusim::blas {

namespace {

struct TypeRule {
  Element input;
  Element output;
};
// With accumulation in f32: C and D have one type.
constexpr std::array kFloatRules{
    TypeRule{Element::kF32, Element::kF32},  TypeRule{Element::kBf16, Element::kBf16},
    TypeRule{Element::kBf16, Element::kF32}, TypeRule{Element::kF16, Element::kF16},
    TypeRule{Element::kF16, Element::kF32},  TypeRule{Element::kS8, Element::kF32},
};

struct ComputeRule {
  int compute_type;
  Arithmetic arithmetic;
  int scale_type;
};
constexpr std::array kComputeRules{
    ComputeRule{CUBLAS_COMPUTE_32F, Arithmetic::kF32, CUDA_R_32F},
    ComputeRule{CUBLAS_COMPUTE_32F_PEDANTIC, Arithmetic::kF32, CUDA_R_32F},
    ComputeRule{CUBLAS_COMPUTE_32F_FAST_TF32, Arithmetic::kTf32, CUDA_R_32F},
    ComputeRule{CUBLAS_COMPUTE_32F_FAST_16BF, Arithmetic::kRoundBf16, CUDA_R_32F},
    ComputeRule{CUBLAS_COMPUTE_32F_FAST_16F, Arithmetic::kRoundF16, CUDA_R_32F},
    ComputeRule{CUBLAS_COMPUTE_32F_EMULATED_16BFX9, Arithmetic::kF32, CUDA_R_32F},
    ComputeRule{CUBLAS_COMPUTE_16F, Arithmetic::kF32, CUDA_R_16F},
    ComputeRule{CUBLAS_COMPUTE_16F_PEDANTIC, Arithmetic::kF32, CUDA_R_16F},
    ComputeRule{CUBLAS_COMPUTE_64F, Arithmetic::kF64, CUDA_R_64F},
    ComputeRule{CUBLAS_COMPUTE_64F_PEDANTIC, Arithmetic::kF64, CUDA_R_64F},
    ComputeRule{CUBLAS_COMPUTE_32I, Arithmetic::kS32, CUDA_R_32I},
    ComputeRule{CUBLAS_COMPUTE_32I_PEDANTIC, Arithmetic::kS32, CUDA_R_32I},
};

bool types_fit(const ComputeRule& rule, Element input, Element output) {
  switch (rule.scale_type) {
    case CUDA_R_16F:
      return input == Element::kF16 && output == Element::kF16;
    case CUDA_R_64F:
      return input == Element::kF64 && output == Element::kF64;
    case CUDA_R_32I:
      return input == Element::kS8 && output == Element::kS32;
    default:
      for (const TypeRule& pair : kFloatRules) {
        if (pair.input == input && pair.output == output) return true;
      }
      return false;
  }
}

Verdict check_layout(const char* name, const Layout& layout) {
  const std::string matrix = std::string("matrix ") + name;
  if (layout.order != CUBLASLT_ORDER_COL && layout.order != CUBLASLT_ORDER_ROW) {
    return unsupported(matrix + " has an order other than rows or columns");
  }
  if (layout.plane_offset != 0) return unsupported(matrix + " is planar");
  if (layout.rows == 0 || layout.columns == 0) return invalid(matrix + " is empty");
  const std::uint64_t least = layout.order == CUBLASLT_ORDER_COL ? layout.rows : layout.columns;
  if (layout.leading < static_cast<std::int64_t>(least)) {
    return invalid(matrix + " has leading dimension " + std::to_string(layout.leading) +
                   ", and needs " + std::to_string(least));
  }
  if (layout.batch_count < 1) return invalid(matrix + " has no batches");
  return {};
}

Operand operand_of(const Layout& layout, bool transposed) {
  Operand operand;
  operand.type = *element_of(layout.type);
  operand.pointers = layout.batch_mode == CUBLASLT_BATCH_MODE_POINTER_ARRAY;
  operand.batch_stride = layout.batch_stride;
  const bool by_rows = (layout.order == CUBLASLT_ORDER_ROW) != transposed;
  operand.row_stride = by_rows ? layout.leading : 1;
  operand.column_stride = by_rows ? 1 : layout.leading;
  return operand;
}

Verdict check_shapes(const ProductDescription& description, const Layouts& layouts,
                     ProductCall& call) {
  const bool transpose_a = description.transpose_a != CUBLAS_OP_N;
  const bool transpose_b = description.transpose_b != CUBLAS_OP_N;
  const auto size = [](std::uint64_t extent) { return static_cast<std::int64_t>(extent); };
  call.m = size(transpose_a ? layouts.a->columns : layouts.a->rows);
  call.k = size(transpose_a ? layouts.a->rows : layouts.a->columns);
  call.n = size(transpose_b ? layouts.b->rows : layouts.b->columns);
  if (size(transpose_b ? layouts.b->columns : layouts.b->rows) != call.k) {
    return invalid("the depths of A and B differ");
  }
  for (const Layout* result : {layouts.c, layouts.d}) {
    if (size(result->rows) != call.m || size(result->columns) != call.n) {
      return invalid("C or D is not m x n = " + std::to_string(call.m) + " x " +
                     std::to_string(call.n));
    }
  }
  call.batch = layouts.d->batch_count;
  for (const Layout* layout : {layouts.a, layouts.b, layouts.c}) {
    if (layout->batch_count != layouts.d->batch_count) return invalid("batch counts differ");
    if (layout->batch_mode != layouts.d->batch_mode) return invalid("batch modes differ");
  }
  if (call.batch > 1 && layouts.d->batch_stride == 0 &&
      layouts.d->batch_mode == CUBLASLT_BATCH_MODE_STRIDED) {
    return invalid("the batches of D lie on top of each other");
  }
  call.a = operand_of(*layouts.a, transpose_a);
  call.b = operand_of(*layouts.b, transpose_b);
  call.c = operand_of(*layouts.c, false);
  call.d = operand_of(*layouts.d, false);
  if (call.arithmetic == Arithmetic::kS32) {
    const bool aligned = layouts.a->leading % 4 == 0 && layouts.b->leading % 4 == 0;
    if (!transpose_a || transpose_b || call.m % 4 != 0 || call.k % 4 != 0 || !aligned) {
      return unsupported("8-bit products take A transposed, B not, and multiples of 4");
    }
  }
  return {};
}

Verdict check_aux(const ProductDescription& description, bool bits, ProductCall& call) {
  call.aux = description.aux;
  call.aux_stride = description.aux_leading;
  call.aux_batch_stride = description.aux_batch_stride;
  call.aux_type = call.d.type;
  if (!bits && description.aux_type != -1) {
    const auto type = element_of(description.aux_type);
    if (!type || *type != call.d.type) return unsupported("auxiliary data not of D's type");
  }
  const std::int64_t multiple = bits ? 128 : 8;
  if (call.aux_stride < call.m || call.aux_stride % multiple != 0) {
    return invalid("the auxiliary leading dimension " + std::to_string(call.aux_stride) +
                   " is below m or no multiple of " + std::to_string(multiple));
  }
  if (call.batch > 1 && call.aux_batch_stride % multiple != 0) {
    return invalid("the auxiliary batch stride is no multiple of " + std::to_string(multiple));
  }
  return {};
}

Verdict check_bias(const ProductDescription& description, ProductCall& call) {
  call.bias = description.bias;
  call.bias_batch_stride = description.bias_batch_stride;
  call.bias_type = call.d.type;
  if (description.bias_type != -1 && element_of(description.bias_type) != call.d.type) {
    return unsupported("a bias not of D's type");
  }
  return {};
}

Verdict check_epilogue(const ProductDescription& description, ProductCall& call) {
  using Gradient = Epilogue::Gradient;
  bool aux = false, bias = false;
  switch (description.epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
      return {};
    case CUBLASLT_EPILOGUE_BIAS:
      bias = true;
      break;
    case CUBLASLT_EPILOGUE_RELU:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_RELU_AUX:
    case CUBLASLT_EPILOGUE_RELU_AUX_BIAS:
      call.activation = Activation::kRelu;
      break;
    case CUBLASLT_EPILOGUE_GELU:
    case CUBLASLT_EPILOGUE_GELU_BIAS:
    case CUBLASLT_EPILOGUE_GELU_AUX:
    case CUBLASLT_EPILOGUE_GELU_AUX_BIAS:
      call.activation = Activation::kGelu;
      break;
    case CUBLASLT_EPILOGUE_DRELU:
    case CUBLASLT_EPILOGUE_DRELU_BGRAD:
      call.activation = Activation::kReluGradient;
      break;
    case CUBLASLT_EPILOGUE_DGELU:
    case CUBLASLT_EPILOGUE_DGELU_BGRAD:
      call.activation = Activation::kGeluGradient;
      break;
    case CUBLASLT_EPILOGUE_BGRADA:
      call.gradient = Gradient::kOfA;
      break;
    case CUBLASLT_EPILOGUE_BGRADB:
      call.gradient = Gradient::kOfB;
      break;
    default:
      return invalid("unknown epilogue " + std::to_string(description.epilogue));
  }
  constexpr std::uint32_t kAux = 128, kBiasGradient = 16;
  const bool plain = call.activation == Activation::kNone;
  aux = !plain && (description.epilogue & kAux) != 0;
  bias = bias || (!plain && (description.epilogue & CUBLASLT_EPILOGUE_BIAS) != 0);
  const bool backward =
      call.activation == Activation::kReluGradient || call.activation == Activation::kGeluGradient;
  if (backward && (description.epilogue & kBiasGradient) != 0) call.gradient = Gradient::kOfResult;
  bias = bias || call.gradient != Gradient::kNone;
  const bool floating =
      call.d.type == Element::kF32 || call.d.type == Element::kBf16 || call.d.type == Element::kF16;
  if (!floating || call.a.type == Element::kS8) {
    return unsupported("an epilogue with results that are not f32, bf16 or f16");
  }
  if (bias) {
    const Verdict verdict = check_bias(description, call);
    if (!verdict.ok()) return verdict;
  }
  const bool bits =
      call.activation == Activation::kRelu || call.activation == Activation::kReluGradient;
  return aux ? check_aux(description, bits, call) : Verdict{};
}

Verdict check_description(const ProductDescription& d) {
  for (std::int32_t transpose : {d.transpose_a, d.transpose_b}) {
    if (transpose != CUBLAS_OP_N && transpose != CUBLAS_OP_T && transpose != CUBLAS_OP_C) {
      return invalid("an unknown transposition");
    }
  }
  if (d.transpose_c != CUBLAS_OP_N) return unsupported("C transposed");
  if (d.fill_mode != CUBLAS_FILL_MODE_FULL) return unsupported("results in part of D");
  const std::uint64_t scaling = d.a_scale | d.b_scale | d.c_scale | d.d_scale | d.d_out_scale |
                                d.aux_scale | d.d_maximum | d.aux_maximum;
  if (scaling != 0) return invalid("scaling factors belong to 8-bit floating types");
  const std::int32_t modes = d.a_scale_mode | d.b_scale_mode | d.c_scale_mode | d.d_scale_mode |
                             d.aux_scale_mode | d.d_out_scale_mode;
  if (modes != 0) return unsupported("block scaling");
  if (d.emulation != 0) return unsupported("floating-point emulation");
  return {};
}

}  // namespace

std::optional<Element> element_of(std::int64_t cuda_type) {
  switch (cuda_type) {
    case CUDA_R_32F:
      return Element::kF32;
    case CUDA_R_64F:
      return Element::kF64;
    case CUDA_R_16F:
      return Element::kF16;
    case CUDA_R_16BF:
      return Element::kBf16;
    case CUDA_R_8I:
      return Element::kS8;
    case CUDA_R_32I:
      return Element::kS32;
    default:
      return std::nullopt;
  }
}

Verdict check_types(std::int64_t compute_type, std::int64_t scale_type, std::int64_t a,
                    std::int64_t b, std::int64_t c, std::int64_t d, ProductCall& call) {
  const auto input = element_of(a);
  const auto output = element_of(d);
  for (const ComputeRule& rule : kComputeRules) {
    if (rule.compute_type != compute_type) continue;
    if (rule.scale_type != scale_type || a != b || c != d || !input || !output ||
        !types_fit(rule, *input, *output)) {
      return unsupported("no product of types A " + std::to_string(a) + ", B " + std::to_string(b) +
                         ", C " + std::to_string(c) + ", D " + std::to_string(d) + " computed in " +
                         std::to_string(compute_type) + " and scaled in " +
                         std::to_string(scale_type));
    }
    call.arithmetic = rule.arithmetic;
    call.alpha.type = call.beta.type = *element_of(scale_type);
    return {};
  }
  return unsupported("compute type " + std::to_string(compute_type));
}

Verdict check_problem(const ProductDescription& description, const Layouts& layouts,
                      ProductCall& call) {
  if (layouts.a == nullptr || layouts.b == nullptr || layouts.c == nullptr ||
      layouts.d == nullptr) {
    return invalid("a layout is missing or was destroyed");
  }
  Verdict verdict = check_description(description);
  if (verdict.ok()) verdict = check_layout("A", *layouts.a);
  if (verdict.ok()) verdict = check_layout("B", *layouts.b);
  if (verdict.ok()) verdict = check_layout("C", *layouts.c);
  if (verdict.ok()) verdict = check_layout("D", *layouts.d);
  if (verdict.ok()) {
    verdict = check_types(description.compute_type, description.scale_type, layouts.a->type,
                          layouts.b->type, layouts.c->type, layouts.d->type, call);
  }
  if (verdict.ok()) verdict = check_shapes(description, layouts, call);
  if (verdict.ok()) verdict = check_epilogue(description, call);
  return verdict;
}

}  // namespace gpusim::blas
