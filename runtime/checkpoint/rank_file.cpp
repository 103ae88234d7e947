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

/// A dataset of a file about to be written.
struct PlannedKind {
  const StateKind* kind = nullptr;
  std::vector<HeldPiece> held;
  std::vector<Piece> pieces;
};

Hdf5Plan plan_of(const RankFilePlace& place) {
  Hdf5Plan plan;
  plan.attributes = {{"format_version", kCheckpointVersion},
                     {"step", place.step},
                     {"rank", std::int64_t{place.rank}},
                     {"ranks", std::int64_t{place.ranks}}};
  return plan;
}

/// Calls use(bytes) with the values of the pieces in their order: in place where the host sees
/// them, otherwise copied to it; in parts that stay in a core's cache.
template <typename Use>
void for_each_part(const PlannedKind& planned, Use use) {
  constexpr std::int64_t kPart = 1 << 18;
  const StateKind& kind = *planned.kind;
  std::vector<float> part;
  for (const auto& [piece, local] : planned.held) {
    for (std::int64_t done = 0; done < piece.count; done += kPart) {
      const auto count = static_cast<std::size_t>(std::min(kPart, piece.count - done));
      if (kind.transfer == nullptr) {
        use(std::as_bytes(kind.values.subspan(static_cast<std::size_t>(local + done), count)));
        continue;
      }
      part.resize(count);
      kind.read(local + done, part);
      use(std::as_bytes(std::span<const float>(part)));
    }
  }
}

}  // namespace

std::string own_pieces_name(const std::string& kind) {
  return fmt::format("{} of {}", kPiecesName, kind);
}

FileEntry write_rank_file(const RankFilePlace& place, const StateView& state,
                          const std::function<void()>& between_parts) {
  FileEntry entry{rank_file_name(place.rank), 0, "", {}};
  const std::string path = place.folder + "/" + entry.name;
  Hdf5Plan plan = plan_of(place);
  // Of each dataset of the plan, either the table or the kind that it holds.
  std::vector<std::pair<std::vector<std::uint64_t>, std::size_t>> sources;
  std::vector<PlannedKind> kinds;
  for (const StateKind& kind : state.kinds) {
    PlannedKind planned{&kind, pieces_to_save(state.layout, kind, place.rank, place.ranks), {}};
    planned.pieces = without_places(planned.held);
    if (kinds.empty() || planned.pieces != kinds.front().pieces) {
      plan.datasets.push_back({kinds.empty() ? kPiecesName : own_pieces_name(kind.name),
                               kUnsigned64,
                               {planned.pieces.size(), 3}});
      sources.emplace_back(table_of(planned.pieces), 0);
    }
    const auto count = static_cast<std::uint64_t>(element_count(planned.pieces));
    plan.datasets.push_back({kind.name, kFloat32, {count}});
    sources.emplace_back(std::vector<std::uint64_t>(), kinds.size());
    kinds.push_back(std::move(planned));
  }
  Hdf5Writer writer(path, plan);
  for (std::size_t d = 0; d < plan.datasets.size(); ++d) {
    StreamingChecksum128 checksum;
    std::uint64_t position = 0;
    const auto put = [&](std::span<const std::byte> bytes) {
      checksum.add(bytes);
      writer.write(d, position, bytes);
      position += bytes.size();
      if (between_parts) between_parts();
    };
    if (plan.datasets[d].type == kUnsigned64) {
      put(bytes_of(sources[d].first));
    } else {
      for_each_part(kinds[sources[d].second], put);
    }
    entry.datasets.push_back({plan.datasets[d].name, checksum.digest().text()});
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
  pieces_ = read_table(kPiecesName, manifest);
  for (const std::string& kind : manifest.kinds) {
    const std::string own = own_pieces_name(kind);
    if (contents_.find(own) != nullptr) own_pieces_[kind] = read_table(own, manifest);
    const std::int64_t elements = element_count(pieces(kind));
    if (require(kind, kFloat32).count != static_cast<std::uint64_t>(elements)) {
      refuse(path, fmt::format("'{}' holds {} elements, its pieces {}", kind,
                               require(kind, kFloat32).count, elements));
    }
  }
}

std::vector<Piece> RankFile::read_table(const std::string& name, const Manifest& manifest) const {
  const Hdf5Dataset& table = require(name, kUnsigned64);
  if (table.extents.size() != 2 || table.extents[1] != 3) {
    refuse(file_.path, fmt::format("its table '{}' does not have 3 columns", name));
  }
  verify_dataset(name);
  std::vector<Piece> pieces;
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
      refuse(file_.path,
             fmt::format("row {} of '{}' (tensor {}, offset {}, count {}) lies outside its tensor",
                         row, name, tensor, offset, count));
    }
    pieces.push_back({tensor, offset, count});
  }
  return pieces;
}

const std::vector<Piece>& RankFile::pieces(const std::string& kind) const {
  const auto own = own_pieces_.find(kind);
  return own == own_pieces_.end() ? pieces_ : own->second;
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

void RankFile::read(const StateKind& kind, std::span<const HeldRange> held,
                    std::span<const std::int64_t> tensor_offsets) const {
  const auto bytes = bytes_of_dataset(require(kind.name, kFloat32));
  bool verified = false;
  std::int64_t position = 0;  // of the piece, in elements of the dataset
  for (const Piece& piece : pieces(kind.name)) {
    const std::int64_t flat = tensor_offsets[static_cast<std::size_t>(piece.tensor)] + piece.offset;
    for_each_overlap(held, flat, piece.count, [&](const HeldRange& range) {
      // What this rank takes nothing of, it need not read.
      if (!std::exchange(verified, true)) verify_dataset(kind.name);
      const auto first = static_cast<std::size_t>(position + range.flat - flat) * sizeof(float);
      kind.write(range.local,
                 bytes.subspan(first, static_cast<std::size_t>(range.count) * sizeof(float)));
    });
    position += piece.count;
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
