// Products by dnnl_sgemm: directly on f32 operands, or block by block on bf16 operands converted to
// f32. See matrix_product.hpp.
#include "ops/linear/matrix_product.hpp"

#include <oneapi/dnnl/dnnl.h>

#include <algorithm>

#include "ops/linear/bf16_product.hpp"
#include "ops/linear/linear_simd.hpp"
#include "ops/linear/matrix_algorithms.hpp"

namespace ingot::cpu {

namespace {

std::int64_t divide_up(std::int64_t count, std::int64_t size) {
  return (count + size - 1) / size;
}
std::int64_t round_up(std::int64_t count, std::int64_t multiple) {
  return divide_up(count, multiple) * multiple;
}

/// Size of the near-equal tiles, none above `most`, in which `count` is covered.
std::int64_t tile_size(std::int64_t count, std::int64_t most, std::int64_t multiple) {
  const std::int64_t tiles = std::max<std::int64_t>(1, divide_up(count, most));
  return std::max<std::int64_t>(1, std::min(count, round_up(divide_up(count, tiles), multiple)));
}

/// One tile: c (+)= op(a) op(b), with the strides of the matrices the tile lies in.
void multiply(const ProductDescription& product, const TileGrid::Tile& tile, std::int64_t depth,
              const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
              bool accumulate, float* c, std::int64_t c_stride) {
  a += product.a_transposed ? tile.row : tile.row * a_stride;
  b += product.b_transposed ? tile.column * b_stride : tile.column;
  c += tile.row * c_stride + tile.column;
  const dnnl_status_t status = dnnl_sgemm(
      product.a_transposed ? 'T' : 'N', product.b_transposed ? 'T' : 'N', tile.rows, tile.columns,
      depth, 1.0F, a, a_stride, b, b_stride, accumulate ? 1.0F : 0.0F, c, c_stride);
  ensure(status == dnnl_success, "dnnl_sgemm to accept the product");
}

void* element(void* data, DType type, std::int64_t index) {
  return data == nullptr ? nullptr : static_cast<std::byte*>(data) + index * size_of(type);
}
const void* element(const void* data, DType type, std::int64_t index) {
  return element(const_cast<void*>(data), type, index);
}

/// What follows a tile's product; `at` locates the tile in c.
TileFinish finish_of(const ProductDescription& product, const ProductArguments& arguments,
                     const TileGrid::Tile& at) {
  const std::int64_t first = at.row * product.columns + at.column;
  TileFinish finish;
  finish.rows = at.rows;
  finish.columns = at.columns;
  finish.bias = element(arguments.bias, product.result, at.column);
  finish.pre = element(arguments.pre, product.result, first);
  finish.y = element(arguments.c, product.result, first);
  finish.y_stride = product.columns;
  finish.gelu = product.gelu;
  return finish;
}

/// Each call packs its part of both operands anew, so that few large tiles are the fastest. What
/// follows a tile's product finds it in the second-level cache where the tile is not too large.
TileGrid choose_grid(const ProductDescription& product, std::int64_t rows, std::int64_t columns,
                     int threads, AlgorithmChoice choice) {
  if (choice == AlgorithmChoice::kHeuristic) return {rows, columns};
  const bool followed = product.bias || product.gelu;
  constexpr std::int64_t kAny = std::int64_t{1} << 40;
  return {rows, columns, threads, followed ? TileGrid::Most{512, 768} : TileGrid::Most{kAny, kAny}};
}

/// f32 operands where they lie; no workspace.
class FloatProduct final : public MatrixProduct {
 public:
  FloatProduct(const ProductDescription& product, int threads)
      : product_(product),
        grid_(choose_grid(product, product.rows, product.columns, threads,
                          matrix_algorithms().choice())) {}

  std::int64_t workspace_bytes() const override { return 0; }

  void run(ThreadPool& pool, const ProductArguments& arguments) override {
    const auto* a = static_cast<const float*>(arguments.a);
    const auto* b = static_cast<const float*>(arguments.b);
    // With gelu the product is completed in pre's memory and y is written from there.
    auto* c = static_cast<float*>(product_.gelu ? arguments.pre : arguments.c);
    const std::int64_t a_stride = product_.a_transposed ? product_.rows : product_.depth;
    const std::int64_t b_stride = product_.b_transposed ? product_.depth : product_.columns;
    pool.parallel_for(grid_.count(), 1, [&](std::int64_t begin, std::int64_t /*end*/) {
      const TileGrid::Tile tile = grid_.tile(begin);
      multiply_in_pieces(tile, a, a_stride, b, b_stride, c);
      if (!product_.bias && !product_.gelu) return;
      TileFinish finish = finish_of(product_, arguments, tile);
      finish.product = c + tile.row * product_.columns + tile.column;
      finish.product_stride = product_.columns;
      finish_tile(DType::kF32, finish);
    });
  }

 private:
  /// oneDNN copies a transposed operand column by column. Where rows are long these columns compete
  /// for the same cache lines; pieces of the depth, added up in order, keep them few.
  void multiply_in_pieces(const TileGrid::Tile& tile, const float* a, std::int64_t a_stride,
                          const float* b, std::int64_t b_stride, float* c) const {
    const std::int64_t piece = product_.a_transposed ? kTransposedDepth : product_.depth;
    for (std::int64_t k = 0; k == 0 || k < product_.depth; k += piece) {
      const std::int64_t depth = std::min(piece, product_.depth - k);
      multiply(product_, tile, depth, a + (product_.a_transposed ? k * a_stride : k), a_stride,
               b + (product_.b_transposed ? k : k * b_stride), b_stride,
               product_.accumulate || k > 0, c, product_.columns);
    }
  }

  static constexpr std::int64_t kTransposedDepth = 512;

  ProductDescription product_;
  TileGrid grid_;
};

/// bf16 operands through f32 copies of blocks. All three dimensions are cut into blocks of kBlock,
/// which bounds the workspace; blocks of the depth are added up in order.
class ConvertingProduct final : public MatrixProduct {
 public:
  ConvertingProduct(const ProductDescription& product, int threads)
      : product_(product), threads_(threads), choice_(matrix_algorithms().choice()) {
    const std::int64_t rows = std::min(product.rows, kBlock);
    const std::int64_t columns = std::min(product.columns, kBlock);
    const std::int64_t depth = std::min(product.depth, kBlock);
    a_floats_ = product.a_transposed ? depth * stride_of(rows) : rows * stride_of(depth);
    b_floats_ = product.b_transposed ? columns * stride_of(depth) : depth * stride_of(columns);
    c_floats_ = in_result() ? 0 : rows * stride_of(columns);
  }

  std::int64_t workspace_bytes() const override {
    return (a_floats_ + b_floats_ + c_floats_) * size_of(DType::kF32);
  }

  void run(ThreadPool& pool, const ProductArguments& arguments) override {
    for (std::int64_t row = 0; row < product_.rows; row += kBlock) {
      for (std::int64_t column = 0; column < product_.columns; column += kBlock) {
        run_block(pool, arguments, row, column);
      }
    }
  }

 private:
  static constexpr std::int64_t kBlock = 2048;

  /// Rows of the copies are padded: at a distance of a power of two they would compete for the
  /// same cache lines.
  static std::int64_t stride_of(std::int64_t columns) { return round_up(columns, 16) + 16; }
  /// Whether products are summed in c's own memory.
  bool in_result() const { return product_.result == DType::kF32; }

  void run_block(ThreadPool& pool, const ProductArguments& arguments, std::int64_t row,
                 std::int64_t column) {
    auto* a = reinterpret_cast<float*>(arguments.workspace);
    float* b = a + a_floats_;
    float* c = b + b_floats_;
    const std::int64_t rows = std::min(kBlock, product_.rows - row);
    const std::int64_t columns = std::min(kBlock, product_.columns - column);
    std::int64_t c_stride = stride_of(columns);
    if (in_result()) {
      c = static_cast<float*>(arguments.c) + row * product_.columns + column;
      c_stride = product_.columns;
    }
    const TileGrid grid = choose_grid(product_, rows, columns, threads_, choice_);
    for (std::int64_t k = 0; k < product_.depth; k += kBlock) {
      const std::int64_t depth = std::min(kBlock, product_.depth - k);
      const bool last = k + depth == product_.depth;
      const std::int64_t a_stride = stride_of(product_.a_transposed ? rows : depth);
      const std::int64_t b_stride = stride_of(product_.b_transposed ? depth : columns);
      // A copy of all of a's depth serves every block of columns.
      if (column == 0 || product_.depth > kBlock) {
        const auto* from = static_cast<const Bf16*>(arguments.a);
        if (product_.a_transposed) {
          convert(pool, from + k * product_.rows + row, product_.rows, a, a_stride, depth, rows);
        } else {
          convert(pool, from + row * product_.depth + k, product_.depth, a, a_stride, rows, depth);
        }
      }
      const auto* from = static_cast<const Bf16*>(arguments.b);
      if (product_.b_transposed) {
        convert(pool, from + column * product_.depth + k, product_.depth, b, b_stride, columns,
                depth);
      } else {
        convert(pool, from + k * product_.columns + column, product_.columns, b, b_stride, depth,
                columns);
      }
      const bool accumulate = k > 0 || (in_result() && product_.accumulate);
      pool.parallel_for(grid.count(), 1, [&](std::int64_t begin, std::int64_t /*end*/) {
        TileGrid::Tile tile = grid.tile(begin);
        multiply(product_, tile, depth, a, a_stride, b, b_stride, accumulate, c, c_stride);
        if (!last || in_result()) return;
        const float* product = c + tile.row * c_stride + tile.column;
        tile.row += row;
        tile.column += column;
        TileFinish finish = finish_of(product_, arguments, tile);
        finish.product = product;
        finish.product_stride = c_stride;
        finish.accumulate = product_.accumulate;
        finish_tile(product_.result, finish);
      });
    }
  }

  static void convert(ThreadPool& pool, const Bf16* from, std::int64_t from_stride, float* to,
                      std::int64_t to_stride, std::int64_t rows, std::int64_t columns) {
    pool.parallel_for(rows, 64, [&](std::int64_t begin, std::int64_t end) {
      convert_to_float(from + begin * from_stride, from_stride, to + begin * to_stride, to_stride,
                       end - begin, columns);
    });
  }

  ProductDescription product_;
  int threads_;
  AlgorithmChoice choice_;
  std::int64_t a_floats_ = 0;
  std::int64_t b_floats_ = 0;
  std::int64_t c_floats_ = 0;
};

}  // namespace

void TileGrid::cut(std::int64_t most_rows, std::int64_t most_columns) {
  tile_columns_ = tile_size(columns_, most_columns, 48);
  column_tiles_ = divide_up(columns_, tile_columns_);
  tile_rows_ = tile_size(rows_, most_rows, 16);
  row_tiles_ = divide_up(rows_, tile_rows_);
}

TileGrid::TileGrid(std::int64_t rows, std::int64_t columns) : rows_(rows), columns_(columns) {
  // Measured on AVX2 against one whole product: tiles of 256 rows cost 1 to 3 %, of 128 rows 2 to
  // 4 %. The smaller ones serve products that would otherwise give most threads nothing to do.
  constexpr std::int64_t kEnoughTiles = 8;
  cut(256, 768);
  if (count() < kEnoughTiles) cut(128, 768);
}

TileGrid::TileGrid(std::int64_t rows, std::int64_t columns, int threads, Most most)
    : rows_(rows), columns_(columns) {
  // Rows are divided first, and columns where that would make tiles of fewer rows than a product
  // needs to repay the packing of its columns.
  constexpr std::int64_t kFewestRows = 128;
  constexpr std::int64_t kFewestColumns = 192;
  const std::int64_t parts =
      std::max<std::int64_t>(1, std::min<std::int64_t>(threads, divide_up(rows, kFewestRows)));
  const std::int64_t column_parts = divide_up(threads, parts);
  cut(std::min(most.rows, std::max<std::int64_t>(1, divide_up(rows, parts))),
      std::min(most.columns, std::max(kFewestColumns, divide_up(columns, column_parts))));
}

TileGrid::Tile TileGrid::tile(std::int64_t index) const {
  Tile tile;
  tile.row = index % row_tiles_ * tile_rows_;
  tile.rows = std::min(tile_rows_, rows_ - tile.row);
  tile.column = index / row_tiles_ * tile_columns_;
  tile.columns = std::min(tile_columns_, columns_ - tile.column);
  return tile;
}

std::unique_ptr<MatrixProduct> create_matrix_product(const ProductDescription& description,
                                                     int threads) {
  if (description.operands == DType::kBf16) {
    ensure(description.result == DType::kBf16 || (!description.bias && !description.gelu),
           "bias and gelu only with a bf16 result");
    if (auto native = create_native_bf16_product(description, threads)) return native;
    return std::make_unique<ConvertingProduct>(description, threads);
  }
  ensure(description.operands == DType::kF32 && description.result == DType::kF32,
         "operands of f32 or bf16");
  return std::make_unique<FloatProduct>(description, threads);
}

}  // namespace ingot::cpu
