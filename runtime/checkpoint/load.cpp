#include "runtime/checkpoint/load.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>

#include "ops/base/checksum.hpp"
#include "ops/base/text.hpp"
#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/mismatch.hpp"
#include "runtime/checkpoint/rank_file.hpp"
#include "runtime/data/tokenizer/bounded_json.hpp"

namespace ingot {
namespace {

constexpr std::int64_t kMaxTextFile = std::int64_t{256} << 20;

/// Runs `work`; an error about input data is one about the checkpoint here.
template <typename Work>
auto as_checkpoint_error(Work work) {
  try {
    return work();
  } catch (const Error& error) {
    if (error.code() != ExitCode::kBadData) throw;
    throw Error(ExitCode::kCheckpoint, error.what());
  }
}

std::string read_text(const std::string& path) {
  return as_checkpoint_error([&] { return read_bounded_file(path, {kMaxTextFile, 0, 0}); });
}

void read_text_file(const std::string& folder, const FileEntry& entry, TrainingState& training) {
  const std::string path = folder + "/" + entry.name;
  std::string text = read_text(path);
  const std::string found = checksum128(std::as_bytes(std::span(text))).text();
  if (found != entry.checksum) {
    fail(ExitCode::kCheckpoint,
         "{}: damaged or edited: its checksum is {}, expected {}; use another checkpoint", path,
         found, entry.checksum);
  }
  if (entry.name == kConfigName) training.config = std::move(text);
  if (entry.name == kTokenizerName) training.tokenizer = std::move(text);
  if (entry.name == kColumnsName) training.columns = std::move(text);
}

void check_size(const std::string& path, std::int64_t expected) {
  std::error_code error;
  const bool regular = std::filesystem::is_regular_file(path, error);
  const auto found = regular ? std::filesystem::file_size(path, error) : 0;
  if (!regular || error) {
    fail(ExitCode::kCheckpoint, "{}: missing or not readable; the checkpoint is incomplete", path);
  }
  if (static_cast<std::int64_t>(found) != expected) {
    fail(ExitCode::kCheckpoint, "{}: {} bytes, expected {}; the checkpoint is damaged", path, found,
         expected);
  }
}

/// All rank files, with the pieces of each kind covering every tensor once.
std::vector<RankFile> open_rank_files(const Checkpoint& checkpoint) {
  const Manifest& manifest = checkpoint.manifest;
  std::vector<RankFile> files;
  for (const FileEntry& entry : manifest.rank_files) {
    files.emplace_back(checkpoint.path + "/" + entry.name, entry, manifest);
  }
  std::vector<std::int64_t> counts;
  for (const TensorEntry& tensor : manifest.tensors) counts.push_back(tensor.shape.count());
  for (const std::string& kind : manifest.kinds) {
    std::vector<Piece> pieces;
    for (const RankFile& file : files) {
      pieces.insert(pieces.end(), file.pieces(kind).begin(), file.pieces(kind).end());
    }
    if (const CoverageGap gap = find_gap(std::move(pieces), counts); gap.tensor >= 0) {
      fail(ExitCode::kCheckpoint, "{}: '{}' of the tensor '{}': {}; use another checkpoint",
           checkpoint.path, printable(kind),
           printable(manifest.tensors[static_cast<std::size_t>(gap.tensor)].name), gap.text);
    }
  }
  return files;
}

}  // namespace

bool Checkpoint::has(const std::string& kind) const {
  return std::ranges::find(manifest.kinds, kind) != manifest.kinds.end();
}

Checkpoint open_checkpoint(const std::string& path) {
  const std::string manifest_path = path + "/" + kManifestName;
  std::error_code error;
  if (!std::filesystem::exists(manifest_path, error)) {
    fail(ExitCode::kCheckpoint,
         "{}: not a checkpoint: it has no {}; name a folder such as "
         "runs/<name>/checkpoints/step-00001000",
         path, kManifestName);
  }
  Checkpoint checkpoint{path, parse_manifest(read_text(manifest_path), manifest_path)};
  for (const FileEntry& entry : checkpoint.manifest.rank_files) {
    check_size(path + "/" + entry.name, entry.bytes);
  }
  for (const FileEntry& entry : checkpoint.manifest.text_files) {
    check_size(path + "/" + entry.name, entry.bytes);
    read_text_file(path, entry, checkpoint.manifest.training);
  }
  return checkpoint;
}

void verify_checkpoint(const Checkpoint& checkpoint) {
  for (const RankFile& file : open_rank_files(checkpoint)) file.verify();
}

std::optional<Checkpoint> find_latest(const std::string& directory, const DamageReport& report) {
  for (const std::int64_t step : list_steps(directory)) {
    try {
      Checkpoint checkpoint = open_checkpoint(directory + "/" + step_name(step));
      verify_checkpoint(checkpoint);
      return checkpoint;
    } catch (const Error& error) {
      if (error.code() != ExitCode::kCheckpoint) throw;
      if (report) report(error.what());
    }
  }
  return {};
}

Checkpoint resolve_checkpoint(const std::string& path, const DamageReport& report) {
  std::error_code error;
  if (std::filesystem::exists(path + "/" + kManifestName, error)) return open_checkpoint(path);
  if (!std::filesystem::is_directory(path, error)) {
    fail(ExitCode::kCheckpoint, "{}: no such folder, expected a run directory or a checkpoint",
         path);
  }
  const std::string inside = path + "/checkpoints";
  const std::string directory = std::filesystem::is_directory(inside, error) ? inside : path;
  if (auto latest = find_latest(directory, report)) return std::move(*latest);
  fail(ExitCode::kCheckpoint,
       "{}: holds no intact checkpoint; train first (`ingot train`), or name another folder", path);
}

void load_state(const Checkpoint& checkpoint, const StateView& state) {
  const StoreLayout& layout = state.layout;
  check_same_tensors(checkpoint, layout);
  std::vector<std::vector<HeldRange>> held;  // by kind
  for (const StateKind& kind : state.kinds) {
    if (!checkpoint.has(kind.name)) refuse_missing_kind(checkpoint, kind.name);
    held.push_back(held_ranges(kind, layout));
    ensure(held.back().empty() || !kind.values.empty() || held.back().back().count == 0,
           "a buffer for the ranges that are held");
  }
  std::vector<std::int64_t> offsets;  // in the flat store, by number in the manifest
  for (const TensorEntry& tensor : checkpoint.manifest.tensors) {
    offsets.push_back(layout.offsets[static_cast<std::size_t>(layout.find(tensor.name))]);
  }
  for (const RankFile& file : open_rank_files(checkpoint)) {
    for (std::size_t k = 0; k < state.kinds.size(); ++k) {
      file.read(state.kinds[k], held[k], offsets);
    }
  }
}

}  // namespace ingot
