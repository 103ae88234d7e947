// CUDA kernel of tabular_input. A block has a few consecutive rows: it reads their category indices
// once into shared memory, then writes the rows as one stream of vectors, each from the features or
// from the table.
#include "ops/cuda_divisor.cuh"
#include "ops/cuda_fault.cuh"
#include "ops/cuda_vector.cuh"
#include "ops/tabular/tabular_kernels.hpp"

namespace ingot::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kTileElements = 8192;  ///< of y, about, that a block writes at a time
constexpr std::int64_t kTileIndices = 4096;   ///< that a block keeps at most

template <int N, typename T>
__global__ void __launch_bounds__(kThreads, 4)
    tabular_kernel(const typename TabularKernels<T>::Arguments arguments, int tile_rows,
                   Divisor row_vectors, Divisor width) {
  extern __shared__ std::int32_t indices[];  // [tile_rows, category_columns]
  const int features = arguments.feature_columns;
  const int categories = arguments.category_columns;
  for (std::int64_t first = std::int64_t{blockIdx.x} * tile_rows; first < arguments.rows;
       first += std::int64_t{gridDim.x} * tile_rows) {
    const int rows = static_cast<int>(min(std::int64_t{tile_rows}, arguments.rows - first));
    for (int i = static_cast<int>(threadIdx.x); i < rows * categories; i += kThreads) {
      const std::int64_t at = first * categories + i;
      indices[i] = checked_index(arguments.fault, FaultKind::kCategoryIndex,
                                 arguments.categories[at], at, arguments.table_rows);
    }
    __syncthreads();
    const auto vectors = static_cast<std::uint32_t>(rows) * row_vectors.value();
    for (std::uint32_t v = threadIdx.x; v < vectors; v += kThreads) {
      const std::uint32_t row = row_vectors.divide(v);
      const int c = static_cast<int>((v - row * row_vectors.value()) * N);
      float values[N] = {};
      if (c < features) {
        load_floats(arguments.features + (first + row) * features + c, values);
      } else {
        const auto embedded = static_cast<std::uint32_t>(c - features);
        const std::uint32_t column = width.divide(embedded);
        const int index = indices[static_cast<int>(row) * categories + static_cast<int>(column)];
        if (index >= 0) {
          const std::uint32_t e = embedded - column * width.value();
          load_floats(arguments.table + std::int64_t{index} * width.value() + e, values);
        }
      }
      store_floats(arguments.y + first * row_vectors.value() * N + std::int64_t{v} * N, values);
    }
    __syncthreads();  // the indices are written again
  }
}

template <int N, typename T>
void launch_as(const CudaLaunch& launch, const typename TabularKernels<T>::Arguments& arguments) {
  const std::int64_t row_elements =
      arguments.feature_columns + std::int64_t{arguments.category_columns} * arguments.width;
  const std::int64_t categories = std::max(arguments.category_columns, 1);
  const std::int64_t tile_rows = std::clamp<std::int64_t>(
      kTileElements / row_elements, 1, std::max<std::int64_t>(1, kTileIndices / categories));
  const auto shared = static_cast<std::size_t>(tile_rows * categories) * sizeof(std::int32_t);
  tabular_kernel<N, T>
      <<<launch.blocks(pieces_of(arguments.rows, tile_rows), 4), kThreads, shared, launch.stream>>>(
          arguments, static_cast<int>(tile_rows), Divisor(row_elements / N),
          Divisor(std::max(arguments.width, 1)));
}

}  // namespace

template <typename T>
void TabularKernels<T>::forward(const CudaLaunch& launch, const Arguments& arguments) {
  if (arguments.rows == 0 ||
      arguments.feature_columns + arguments.category_columns * arguments.width == 0) {
    return;
  }
  // Four features are 16 bytes.
  if (arguments.feature_columns % 4 == 0 && arguments.width % 4 == 0 &&
      aligned(16, arguments.features) && aligned(4 * sizeof(T), arguments.table, arguments.y)) {
    launch_as<4, T>(launch, arguments);
  } else {
    launch_as<1, T>(launch, arguments);
  }
}

template struct TabularKernels<float>;
template struct TabularKernels<Bf16>;

}  // namespace ingot::cuda
