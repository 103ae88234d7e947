// Matrix products on the CPU: oneDNN called with one thread on tiles of a grid. The depth of a
// product is never divided among threads. Still the bits of a result depend on the tile that an
// element lies in, since oneDNN sums the depth of tiles of other sizes in other pieces. Therefore
//
//   kHeuristic   the grid depends on the shapes only, and bits do not depend on threads
//   kMeasure     it depends on the number of threads as well: the fewest tiles that keep them busy
//
// as matrix_algorithms().choice() has it when a product is created.
//
// f32 products are dnnl_sgemm. bf16 products are oneDNN's own where the processor multiplies bf16
// faster than f32 (AMX, AMD's AVX512_BF16); elsewhere blocks of the operands are converted to f32
// in the workspace, multiplied and summed in f32, and rounded once.
#pragma once

#include <cstdint>
#include <memory>

#include "ops/device/cpu/thread_pool.hpp"
#include "ops/tensor.hpp"

namespace ingot::cpu {

/// c[rows, columns] (+)= op(a)[rows, depth] op(b)[depth, columns]; all matrices dense, row-major.
struct ProductDescription {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t depth = 0;
  bool a_transposed = false;  ///< a is stored as [depth, rows]
  bool b_transposed = false;  ///< b is stored as [columns, depth]
  DType operands = DType::kF32;
  DType result = DType::kF32;
  bool accumulate = false;
  bool bias = false;  ///< adds a row [columns] of the result's element type
  bool gelu = false;  ///< writes c = gelu(pre) beside pre; not with accumulate
};

struct ProductArguments {
  const void* a = nullptr;
  const void* b = nullptr;
  const void* bias = nullptr;
  void* pre = nullptr;
  void* c = nullptr;
  std::byte* workspace = nullptr;
};

class MatrixProduct {
 public:
  virtual ~MatrixProduct() = default;
  virtual std::int64_t workspace_bytes() const = 0;
  virtual void run(ThreadPool& pool, const ProductArguments& arguments) = 0;
};

/// Chooses the implementation and creates its primitives. `threads`: how many run() may use.
std::unique_ptr<MatrixProduct> create_matrix_product(const ProductDescription& description,
                                                     int threads);

/// Tiles that cover [0, rows) x [0, columns), near equal in size; numbered row by row within a
/// column of tiles, so that neighbours share an operand.
class TileGrid {
 public:
  /// The most of a tile's rows and columns.
  struct Most {
    std::int64_t rows;
    std::int64_t columns;
  };
  struct Tile {
    std::int64_t row = 0;
    std::int64_t rows = 0;
    std::int64_t column = 0;
    std::int64_t columns = 0;
  };
  /// For any number of threads.
  TileGrid(std::int64_t rows, std::int64_t columns);
  /// For this many: about as many tiles, or more where those would exceed `most`.
  TileGrid(std::int64_t rows, std::int64_t columns, int threads, Most most);
  std::int64_t count() const { return row_tiles_ * column_tiles_; }
  Tile tile(std::int64_t index) const;
  std::int64_t tile_rows() const { return tile_rows_; }
  std::int64_t tile_columns() const { return tile_columns_; }

 private:
  void cut(std::int64_t most_rows, std::int64_t most_columns);

  std::int64_t rows_;
  std::int64_t columns_;
  std::int64_t tile_rows_;
  std::int64_t tile_columns_;
  std::int64_t row_tiles_;
  std::int64_t column_tiles_;
};

}  // namespace ingot::cpu
