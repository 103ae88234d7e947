// manifest.json: what a checkpoint consists of. It is written last, so a folder with a manifest is
// complete, and it carries a checksum of its own, so a damaged one is noticed before it is
// believed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/tensor.hpp"
#include "runtime/checkpoint/state.hpp"

namespace ingot {

/// Version of the layout of checkpoints. 2: kinds of state may be cut differently over the files.
constexpr std::int64_t kCheckpointVersion = 2;

struct TensorEntry {
  std::string name;
  Shape shape;
};

/// A dataset of a rank file and the XXH3-128 of its bytes, as Checksum128::text().
struct DatasetEntry {
  std::string name;
  std::string checksum;
};

/// A file of the checkpoint.
struct FileEntry {
  std::string name;  ///< without any folder
  std::int64_t bytes = 0;
  std::string checksum;                ///< XXH3-128 of the whole file
  std::vector<DatasetEntry> datasets;  ///< of rank files
};

struct Manifest {
  /// config, tokenizer and columns live in files of their own and are empty here.
  TrainingState training;
  std::vector<std::string> kinds;  ///< "weights", "moment 1", ...
  std::vector<TensorEntry> tensors;
  std::vector<FileEntry> rank_files;  ///< one per rank that wrote
  std::vector<FileEntry> text_files;  ///< config.yaml, tokenizer.json, columns.json
};

/// "rank-00003.h5"
std::string rank_file_name(int rank);
inline constexpr const char* kManifestName = "manifest.json";
inline constexpr const char* kConfigName = "config.yaml";
inline constexpr const char* kTokenizerName = "tokenizer.json";
inline constexpr const char* kColumnsName = "columns.json";

/// The text of manifest.json.
std::string render_manifest(const Manifest& manifest);

/// Reads what render_manifest wrote. The text is untrusted: sizes, depth, names and numbers are
/// checked. Error(kCheckpoint) opens with `origin`.
Manifest parse_manifest(const std::string& text, const std::string& origin);

}  // namespace ingot
