// The loops around linear's matrix products, compiled for each instruction set and chosen at run
// time: conversion between bf16 and f32, what happens to a finished tile, and column sums.
// Matrices are row-major; `stride` is the distance of their rows in elements.
#pragma once

#include <cstdint>

#include "ops/tensor.hpp"

namespace ingot::cpu {

/// to[rows, columns] = from[rows, columns] as f32.
void convert_to_float(const Bf16* from, std::int64_t from_stride, float* to, std::int64_t to_stride,
                      std::int64_t rows, std::int64_t columns);

/// A tile of a finished product and where it goes.
struct TileFinish {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  const float* product = nullptr;  ///< [rows, columns]; may be y's own memory when y is f32
  std::int64_t product_stride = 0;
  const void* bias = nullptr;  ///< [columns] of y's element type, or absent
  void* pre = nullptr;         ///< with gelu: receives product + bias
  void* y = nullptr;           ///< receives gelu(pre), or product + bias
  std::int64_t y_stride = 0;   ///< of y and pre
  bool gelu = false;
  bool accumulate = false;  ///< adds to y; not together with gelu
};

/// Writes y (and pre) of element type `output`; rounds once. With gelu, y is computed from pre as
/// it was rounded, so that y and the backward see the same pre.
void finish_tile(DType output, const TileFinish& tile);

/// y = gelu(pre) over [rows, columns], both of element type `dtype` with the same stride.
void gelu_tile(DType dtype, const void* pre, void* y, std::int64_t stride, std::int64_t rows,
               std::int64_t columns);

/// sums[columns] (+)= the sum over the rows of from[rows, columns], rows in ascending order within
/// blocks of 64 and blocks in ascending order.
void sum_columns(DType dtype, const void* from, std::int64_t stride, std::int64_t rows,
                 std::int64_t columns, float* sums, bool accumulate);

}  // namespace ingot::cpu
