// How tensors are cut over the files of a checkpoint. A piece is a run of elements of one tensor;
// nothing in it speaks of ranks, which is why any number of ranks, however they hold the state,
// loads what any other wrote.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/checkpoint/state.hpp"
#include "runtime/program/parameters.hpp"

namespace ingot {

struct Piece {
  std::int64_t tensor = 0;  ///< index in the manifest's (and the layout's) list
  std::int64_t offset = 0;  ///< first element inside the tensor
  std::int64_t count = 0;   ///< elements
  friend bool operator==(const Piece&, const Piece&) = default;
};

/// A piece and where a rank's buffer holds it.
struct HeldPiece {
  Piece piece;
  std::int64_t local = 0;  ///< first element in the buffer
};

/// What this rank saves of a kind: of the tensors' elements that it holds, laid end to end, its
/// replica's equal part. Padding of the store is left out. `rank` and `ranks` are the job's.
std::vector<HeldPiece> pieces_to_save(const StoreLayout& layout, const StateKind& kind, int rank,
                                      int ranks);

std::vector<Piece> without_places(std::span<const HeldPiece> pieces);

/// Elements of all pieces together.
std::int64_t element_count(std::span<const Piece> pieces);

/// Where the pieces do not cover every element of tensors of these sizes exactly once: a message
/// that names the tensor's index and the range, empty if all is well.
struct CoverageGap {
  std::int64_t tensor = -1;  ///< -1: none
  std::string text;
};
CoverageGap find_gap(std::vector<Piece> pieces, std::span<const std::int64_t> tensor_counts);

/// Calls use(HeldRange) for each part of elements [flat, flat + count) of the store that `held`,
/// in the store's order, has.
template <typename Use>
void for_each_overlap(std::span<const HeldRange> held, std::int64_t flat, std::int64_t count,
                      Use use) {
  auto range = std::ranges::upper_bound(held, flat, {}, &HeldRange::flat);
  if (range != held.begin()) --range;
  for (; range != held.end() && range->flat < flat + count; ++range) {
    const std::int64_t first = std::max(flat, range->flat);
    const std::int64_t last = std::min(flat + count, range->flat + range->count);
    if (first < last) use(HeldRange{first, range->local + first - range->flat, last - first});
  }
}

}  // namespace ingot
