// How tensors are cut over the files of a checkpoint. A piece is a run of elements of one tensor;
// nothing in it speaks of ranks, which is why any number of ranks loads what any other wrote.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/program/parameters.hpp"

namespace ingot {

struct Piece {
  std::int64_t tensor = 0;  ///< index in the manifest's (and the layout's) list
  std::int64_t offset = 0;  ///< first element inside the tensor
  std::int64_t count = 0;   ///< elements
  friend bool operator==(const Piece&, const Piece&) = default;
};

/// The pieces that `rank` of `ranks` writes when every rank holds everything: equal shares of the
/// tensors laid end to end, padding of the store left out.
std::vector<Piece> pieces_of_rank(const StoreLayout& layout, int rank, int ranks);

/// Elements of all pieces together.
std::int64_t element_count(std::span<const Piece> pieces);

/// Where the pieces do not cover every element of tensors of these sizes exactly once: a message
/// that names the tensor's index and the range, empty if all is well.
struct CoverageGap {
  std::int64_t tensor = -1;  ///< -1: none
  std::string text;
};
CoverageGap find_gap(std::vector<Piece> pieces, std::span<const std::int64_t> tensor_counts);

}  // namespace ingot
