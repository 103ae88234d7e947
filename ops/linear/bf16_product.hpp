// bf16 products by oneDNN's matmul primitive, for processors that multiply bf16.
#pragma once

#include <memory>

#include "ops/linear/matrix_product.hpp"

namespace ingot::cpu {

/// nullptr where this processor or this oneDNN has no generated code for the product.
std::unique_ptr<MatrixProduct> create_native_bf16_product(const ProductDescription& description,
                                                          int threads);

}  // namespace ingot::cpu
