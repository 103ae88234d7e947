#include "runtime/checkpoint/pieces.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "ops/base/error.hpp"

namespace ingot {

std::vector<HeldPiece> pieces_to_save(const StoreLayout& layout, const StateKind& kind, int rank,
                                      int ranks) {
  const std::vector<HeldRange> ranges = held_ranges(kind, layout);
  std::int64_t elements = 0;
  for (const HeldRange& range : ranges) elements += range.count;
  const bool whole = elements == layout.elements;
  const int replica = whole ? rank : kind.replica;
  const int replicas = whole ? ranks : kind.replicas;
  ensure(replica >= 0 && replica < replicas, "a replica's number below their count");

  std::vector<HeldPiece> held;
  std::int64_t total = 0;
  for (std::size_t tensor = 0; tensor < layout.parameters.size(); ++tensor) {
    const std::int64_t start = layout.offsets[tensor];
    for_each_overlap(
        ranges, start, layout.parameters[tensor].shape.count(), [&](const HeldRange& range) {
          held.push_back(
              {{static_cast<std::int64_t>(tensor), range.flat - start, range.count}, range.local});
          total += range.count;
        });
  }
  if (replicas == 1) return held;

  // total * replica stays far below 2^63: 2^40 parameters over 2^20 ranks would fit.
  const std::int64_t begin = total / replicas * replica + total % replicas * replica / replicas;
  const std::int64_t end =
      total / replicas * (replica + 1) + total % replicas * (replica + 1) / replicas;
  std::vector<HeldPiece> share;
  std::int64_t start = 0;  // of the piece, with all held ones laid end to end
  for (const auto& [piece, local] : held) {
    const std::int64_t first = std::max(begin, start) - start;
    const std::int64_t last = std::min(end, start + piece.count) - start;
    if (first < last) {
      share.push_back({{piece.tensor, piece.offset + first, last - first}, local + first});
    }
    start += piece.count;
  }
  return share;
}

std::vector<Piece> without_places(std::span<const HeldPiece> pieces) {
  std::vector<Piece> plain;
  for (const HeldPiece& held : pieces) plain.push_back(held.piece);
  return plain;
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
