#include "runtime/checkpoint/pieces.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace ingot {

std::vector<Piece> pieces_of_rank(const StoreLayout& layout, int rank, int ranks) {
  const std::int64_t total = layout.parameter_count();
  // total * rank stays far below 2^63: 2^40 parameters over 2^20 ranks would fit.
  const std::int64_t begin = total / ranks * rank + total % ranks * rank / ranks;
  const std::int64_t end = total / ranks * (rank + 1) + total % ranks * (rank + 1) / ranks;
  std::vector<Piece> pieces;
  std::int64_t start = 0;  // of the tensor, with all tensors laid end to end
  for (std::size_t tensor = 0; tensor < layout.parameters.size(); ++tensor) {
    const std::int64_t count = layout.parameters[tensor].shape.count();
    const std::int64_t first = std::max(begin, start);
    const std::int64_t last = std::min(end, start + count);
    if (first < last) {
      pieces.push_back({static_cast<std::int64_t>(tensor), first - start, last - first});
    }
    start += count;
  }
  return pieces;
}

std::int64_t element_count(std::span<const Piece> pieces) {
  std::int64_t total = 0;
  for (const Piece& piece : pieces) total += piece.count;
  return total;
}

CoverageGap find_gap(std::vector<Piece> pieces, std::span<const std::int64_t> tensor_counts) {
  std::ranges::sort(pieces, {}, [](const Piece& piece) {
    return std::tuple(piece.tensor, piece.offset, piece.count);
  });
  std::size_t next = 0;
  for (std::size_t tensor = 0; tensor < tensor_counts.size(); ++tensor) {
    const auto index = static_cast<std::int64_t>(tensor);
    std::int64_t covered = 0;
    for (; next < pieces.size() && pieces[next].tensor == index; ++next) {
      const Piece& piece = pieces[next];
      if (piece.offset != covered) {
        return {index, piece.offset > covered
                           ? fmt::format("elements {} to {} are missing", covered, piece.offset - 1)
                           : fmt::format("elements from {} on are there twice", piece.offset)};
      }
      covered += piece.count;
    }
    if (covered != tensor_counts[tensor]) {
      return {index,
              fmt::format("elements {} to {} are missing", covered, tensor_counts[tensor] - 1)};
    }
  }
  return {};
}

}  // namespace ingot
