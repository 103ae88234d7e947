// One rank's part of a checkpoint: an HDF5 file with a dataset per kind of state ("weights",
// "moment 1", ...: f32, this file's pieces end to end) and "pieces", uint64 [n, 3]: tensor number,
// first element in the tensor, elements. A kind whose pieces are others, since ranks hold it
// otherwise, has a table of its own, "pieces of moment 1". Attributes: format_version, step, rank,
// ranks.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "runtime/checkpoint/manifest.hpp"
#include "runtime/checkpoint/pieces.hpp"
#include "runtime/checkpoint/state.hpp"
#include "runtime/data/hdf5_reader.hpp"

namespace ingot {

inline constexpr const char* kPiecesName = "pieces";
/// The table of a kind whose pieces are not those of "pieces".
std::string own_pieces_name(const std::string& kind);

/// Which file is to be written.
struct RankFilePlace {
  std::string folder;
  std::int64_t step = 0;
  int rank = 0;
  int ranks = 1;
  bool private_files = false;
};

/// Writes and fsyncs this rank's share of the state. Error(kCannotWrite), or what `between_parts`
/// throws: it is called after each part of a few MiB.
FileEntry write_rank_file(const RankFilePlace& place, const StateView& state,
                          const std::function<void()>& between_parts = {});

/// A rank file, mapped and checked against its manifest entry: its datasets exist with the right
/// type and size and its pieces lie inside their tensors. The values are verified when they are
/// read.
class RankFile {
 public:
  /// Error(kCheckpoint).
  RankFile(const std::string& path, const FileEntry& entry, const Manifest& manifest);

  /// Of a kind of the manifest.
  const std::vector<Piece>& pieces(const std::string& kind) const;
  /// Copies what `held`, the kind's ranges, takes of this file's pieces into the kind's buffer;
  /// verifies the dataset's checksum first if that is anything at all. tensor_offsets: place in the
  /// flat store by number in the manifest. Error(kCheckpoint) naming file, dataset and both
  /// checksums.
  void read(const StateKind& kind, std::span<const HeldRange> held,
            std::span<const std::int64_t> tensor_offsets) const;
  /// Verifies the whole file's checksum; a difference is reported as that of the dataset it is in.
  void verify() const;

 private:
  std::vector<Piece> read_table(const std::string& name, const Manifest& manifest) const;
  void verify_dataset(const std::string& name) const;
  std::span<const std::byte> bytes_of_dataset(const Hdf5Dataset& dataset) const;
  const Hdf5Dataset& require(const std::string& name, Hdf5Type type) const;

  const FileEntry& entry_;
  FileBytes file_;
  Hdf5Contents contents_;
  std::vector<Piece> pieces_;
  std::map<std::string, std::vector<Piece>> own_pieces_;  // by kind
};

}  // namespace ingot
