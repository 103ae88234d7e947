#include "runtime/checkpoint/rank_file.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "ops/base/checksum.hpp"
#include "runtime/data/hdf5_writer.hpp"

namespace ingot {
namespace {

constexpr Hdf5Type kFloat32 = {Hdf5Kind::kFloat, 4};
constexpr Hdf5Type kUnsigned64 = {Hdf5Kind::kUnsigned, 8};

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  fail(ExitCode::kCheckpoint, "{}: damaged checkpoint: {}; use another one", path, what);
}

std::vector<std::uint64_t> table_of(const std::vector<Piece>& pieces) {
  std::vector<std::uint64_t> table;
  for (const Piece& piece : pieces) {
    for (const std::int64_t value : {piece.tensor, piece.offset, piece.count}) {
      table.push_back(static_cast<std::uint64_t>(value));
    }
  }
  return table;
}

Hdf5Plan plan_of(const RankFilePlace& place, const StateView& state,
                 const std::vector<Piece>& pieces) {
  Hdf5Plan plan;
  plan.attributes = {{"format_version", kCheckpointVersion},
                     {"step", place.step},
                     {"rank", std::int64_t{place.rank}},
                     {"ranks", std::int64_t{place.ranks}}};
  plan.datasets.push_back({kPiecesName, kUnsigned64, {pieces.size(), 3}});
  for (const StateKind& kind : state.kinds) {
    plan.datasets.push_back(
        {kind.name, kFloat32, {static_cast<std::uint64_t>(element_count(pieces))}});
  }
  return plan;
}

/// Calls use(bytes) with the values of the pieces in their order: in place where the host sees
/// them, otherwise in parts that are copied to it.
template <typename Use>
void for_each_part(const StateView& state, const StateKind& kind, const std::vector<Piece>& pieces,
                   Use use) {
  constexpr std::int64_t kPart = 1 << 20;
  std::vector<float> part;
  for (const Piece& piece : pieces) {
    const std::int64_t start =
        state.layout.offsets[static_cast<std::size_t>(piece.tensor)] + piece.offset;
    if (kind.transfer == nullptr) {
      use(std::as_bytes(kind.values.subspan(static_cast<std::size_t>(start),
                                            static_cast<std::size_t>(piece.count))));
      continue;
    }
    for (std::int64_t done = 0; done < piece.count; done += kPart) {
      part.resize(static_cast<std::size_t>(std::min(kPart, piece.count - done)));
      kind.read(start + done, part);
      use(std::as_bytes(std::span<const float>(part)));
    }
  }
}

}  // namespace

FileEntry write_rank_file(const RankFilePlace& place, const StateView& state) {
  const std::vector<Piece> pieces = pieces_of_rank(state.layout, place.rank, place.ranks);
  FileEntry entry{rank_file_name(place.rank), 0, "", {}};
  const std::string path = place.folder + "/" + entry.name;
  Hdf5Writer writer(path, plan_of(place, state, pieces));
  const std::vector<std::uint64_t> table = table_of(pieces);
  writer.write(0, 0, bytes_of(table));
  entry.datasets.push_back({kPiecesName, checksum128(bytes_of(table)).text()});
  for (std::size_t k = 0; k < state.kinds.size(); ++k) {
    StreamingChecksum128 checksum;
    std::uint64_t position = 0;
    for_each_part(state, state.kinds[k], pieces, [&](std::span<const std::byte> bytes) {
      checksum.add(bytes);
      writer.write(k + 1, position, bytes);
      position += bytes.size();
    });
    entry.datasets.push_back({state.kinds[k].name, checksum.digest().text()});
  }
  writer.commit();
  if (place.private_files && chmod(path.c_str(), 0600) != 0) {
    fail(ExitCode::kCannotWrite, "{}: cannot make it private: {}", path, std::strerror(errno));
  }
  const FileBytes written = map_file(path);
  entry.bytes = static_cast<std::int64_t>(written.bytes.size());
  entry.checksum = checksum128(written.bytes).text();
  return entry;
}

RankFile::RankFile(const std::string& path, const FileEntry& entry, const Manifest& manifest)
    : entry_(entry) {
  try {
    file_ = map_file(path);
    if (static_cast<std::int64_t>(file_.bytes.size()) != entry.bytes) {
      refuse(path, fmt::format("{} bytes, expected {}", file_.bytes.size(), entry.bytes));
    }
    contents_ = read_hdf5(file_);
  } catch (const Error& error) {
    if (error.code() == ExitCode::kCheckpoint) throw;
    throw Error(ExitCode::kCheckpoint, fmt::format("damaged checkpoint: {}", error.what()));
  }
  const Hdf5Dataset& table = require(kPiecesName, kUnsigned64);
  if (table.extents.size() != 2 || table.extents[1] != 3) {
    refuse(path, "its table of pieces does not have 3 columns");
  }
  verify_dataset(kPiecesName);
  std::int64_t elements = 0;
  for (std::uint64_t row = 0; row < table.extents[0]; ++row) {
    std::array<std::int64_t, 3> values{};
    std::memcpy(values.data(), bytes_of_dataset(table).data() + row * sizeof(values),
                sizeof(values));
    const auto [tensor, offset, count] = values;
    const bool known = tensor >= 0 && tensor < static_cast<std::int64_t>(manifest.tensors.size());
    const std::int64_t size =
        known ? manifest.tensors[static_cast<std::size_t>(tensor)].shape.count() : 0;
    if (!known || offset < 0 || count <= 0 || count > size || offset > size - count ||
        __builtin_add_overflow(elements, count, &elements)) {
      refuse(path, fmt::format("piece {} (tensor {}, offset {}, count {}) lies outside its tensor",
                               row, tensor, offset, count));
    }
    pieces_.push_back({tensor, offset, count});
  }
  for (const std::string& kind : manifest.kinds) {
    if (require(kind, kFloat32).count != static_cast<std::uint64_t>(elements)) {
      refuse(path, fmt::format("'{}' holds {} elements, its pieces {}", kind,
                               require(kind, kFloat32).count, elements));
    }
  }
}

const Hdf5Dataset& RankFile::require(const std::string& name, Hdf5Type type) const {
  const Hdf5Dataset* dataset = contents_.find(name);
  if (dataset == nullptr) refuse(file_.path, fmt::format("it lacks the dataset '{}'", name));
  if (dataset->type != type) {
    refuse(file_.path, fmt::format("'{}' has elements of type {}, expected {}", name,
                                   dataset->type.text(), type.text()));
  }
  return *dataset;
}

std::span<const std::byte> RankFile::bytes_of_dataset(const Hdf5Dataset& dataset) const {
  return file_.bytes.subspan(static_cast<std::size_t>(dataset.offset),
                             static_cast<std::size_t>(dataset.count * dataset.type.bytes));
}

void RankFile::verify_dataset(const std::string& name) const {
  const Hdf5Dataset* dataset = contents_.find(name);
  const auto entry = std::ranges::find(entry_.datasets, name, &DatasetEntry::name);
  if (dataset == nullptr || entry == entry_.datasets.end()) {
    refuse(file_.path, fmt::format("'{}' is not in both the file and the manifest", name));
  }
  const std::string found = checksum128(bytes_of_dataset(*dataset)).text();
  if (found != entry->checksum) {
    refuse(file_.path,
           fmt::format("the checksum of '{}' is {}, expected {}", name, found, entry->checksum));
  }
}

void RankFile::read(const StateKind& kind, std::span<const std::int64_t> tensor_offsets) const {
  verify_dataset(kind.name);
  const auto bytes = bytes_of_dataset(require(kind.name, kFloat32));
  std::size_t position = 0;
  for (const Piece& piece : pieces_) {
    const auto from =
        bytes.subspan(position, static_cast<std::size_t>(piece.count) * sizeof(float));
    kind.write(tensor_offsets[static_cast<std::size_t>(piece.tensor)] + piece.offset, from);
    position += from.size();
  }
}

void RankFile::verify() const {
  const std::string found = checksum128(file_.bytes).text();
  if (found == entry_.checksum) return;
  for (const DatasetEntry& dataset : entry_.datasets) verify_dataset(dataset.name);
  refuse(file_.path,
         fmt::format("the checksum of the file is {}, expected {}", found, entry_.checksum));
}

}  // namespace ingot
