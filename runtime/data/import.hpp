// Makes data sets of other people's files: text and JSON lines to tokens, ready-made token files of
// llm.c and nanoGPT to tokens, CSV to a table. Every import splits off validation data, written to
// validation_path(out), by whole documents or rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/data/tokenizer/tokenizer.hpp"

namespace ingot {

enum class ImportFormat : std::uint8_t {
  kText,       ///< plain text; documents between separators
  kJsonLines,  ///< one JSON object per line
  kCsv,        ///< RFC 4180 with a header row
  kLlmc,       ///< llm.c `.bin`: 256 int32 of header (magic 20240520 or 20240801), tokens
  kNanoGpt     ///< nanoGPT `.bin`: uint16 tokens, nothing else
};

enum class SplitRule : std::uint8_t {
  kRandom,  ///< seeded choice of documents or rows
  kEnd      ///< the last ones: for data in order of time
};

enum class MissingValues : std::uint8_t {
  kRefuse,  ///< an error that names the line
  kFill     ///< numbers become the training mean, categories become unknown
};

struct ImportOptions {
  double validation = 0.05;  ///< fraction of documents or rows; 0: no validation set
  SplitRule split = SplitRule::kRandom;
  std::uint64_t seed = 1;
  // text
  std::string document_separator = "\n\n\n";  ///< empty: a file is one document
  // JSON lines
  std::string text_field = "text";
  // llm.c and nanoGPT
  std::int64_t vocabulary = 0;               ///< 0: that of the format; nanoGPT has none
  std::optional<std::uint32_t> end_of_text;  ///< default: that of the format
  // CSV
  std::string label;                     ///< column of the class; required
  std::vector<std::string> categorical;  ///< columns that are categories even if they look numeric
  std::vector<std::string> numeric;      ///< columns that have to be numbers
  std::vector<std::string> ignored;      ///< columns that are left out
  MissingValues missing = MissingValues::kRefuse;
  char delimiter = ',';
};

/// What was written. `items` are documents or rows; `tokens` is 0 for tables.
struct ImportReport {
  struct Part {
    std::string path;  ///< empty: nothing was written
    std::int64_t items = 0;
    std::int64_t tokens = 0;
  };
  Part train;
  Part validation;
};

/// The format that a file's first bytes and its extension (.jsonl, .ndjson, .csv, .bin) suggest;
/// plain text otherwise.
ImportFormat guess_format(const std::string& path);
/// "text", "jsonl", "csv", "llmc", "nanogpt"; nothing for other names.
std::optional<ImportFormat> format_of(std::string_view name);

/// Imports files of one format. The tokenizer is needed for text and JSON lines; for token files it
/// is stored (so that `generate` can decode) and may be null; for CSV it is not used.
/// Error(kBadData) names file and line; Error(kUsage) for options that contradict each other;
/// Error(kCannotWrite).
ImportReport import_files(ImportFormat format, const std::vector<std::string>& files,
                          const std::string& out, const Tokenizer* tokenizer,
                          const ImportOptions& options);

ImportReport import_text(const std::vector<std::string>& files, const std::string& out,
                         const Tokenizer& tokenizer, const ImportOptions& options);
ImportReport import_json_lines(const std::vector<std::string>& files, const std::string& out,
                               const Tokenizer& tokenizer, const ImportOptions& options);
/// llm.c and nanoGPT.
ImportReport import_tokens(ImportFormat format, const std::vector<std::string>& files,
                           const std::string& out, const Tokenizer* tokenizer,
                           const ImportOptions& options);
/// Columns are numeric where every value is a number, categories otherwise. Category vocabularies,
/// means and deviations are those of the training rows.
ImportReport import_csv(const std::vector<std::string>& files, const std::string& out,
                        const ImportOptions& options);

}  // namespace ingot
