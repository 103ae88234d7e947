#include "runtime/data/import_common.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "ops/base/error.hpp"
#include "runtime/data/sampler.hpp"

namespace ingot {
namespace {

struct NamedFormat {
  std::string_view name;
  ImportFormat format;
};
constexpr std::array<NamedFormat, 5> kFormats = {{{"text", ImportFormat::kText},
                                                  {"jsonl", ImportFormat::kJsonLines},
                                                  {"csv", ImportFormat::kCsv},
                                                  {"llmc", ImportFormat::kLlmc},
                                                  {"nanogpt", ImportFormat::kNanoGpt}}};

}  // namespace

std::optional<ImportFormat> format_of(std::string_view name) {
  const auto found = std::ranges::find(kFormats, name, &NamedFormat::name);
  if (found == kFormats.end()) return std::nullopt;
  return found->format;
}

ImportFormat guess_format(const std::string& path) {
  const std::string extension = std::filesystem::path(path).extension().string();
  if (extension == ".jsonl" || extension == ".ndjson") return ImportFormat::kJsonLines;
  if (extension == ".csv") return ImportFormat::kCsv;
  const FileBytes file = map_file(path);
  std::int32_t magic = 0;
  if (file.bytes.size() >= 1024) std::memcpy(&magic, file.bytes.data(), sizeof(magic));
  if (magic == 20240520 || magic == 20240801) return ImportFormat::kLlmc;
  return extension == ".bin" ? ImportFormat::kNanoGpt : ImportFormat::kText;
}

ImportReport import_files(ImportFormat format, const std::vector<std::string>& files,
                          const std::string& out, const Tokenizer* tokenizer,
                          const ImportOptions& options) {
  switch (format) {
    case ImportFormat::kCsv:
      return import_csv(files, out, options);
    case ImportFormat::kLlmc:
    case ImportFormat::kNanoGpt:
      return import_tokens(format, files, out, tokenizer, options);
    case ImportFormat::kText:
    case ImportFormat::kJsonLines:
      break;
  }
  ensure(tokenizer != nullptr, "a tokenizer for text");
  return format == ImportFormat::kText ? import_text(files, out, *tokenizer, options)
                                       : import_json_lines(files, out, *tokenizer, options);
}

ImportInputs open_inputs(const std::vector<std::string>& paths) {
  if (paths.empty()) fail(ExitCode::kUsage, "no input file; name at least one");
  ImportInputs inputs;
  std::uint64_t checksum = 0;
  for (const std::string& path : paths) {
    FileBytes file = map_file(path);
    if (file.bytes.empty()) fail(ExitCode::kBadData, "{}: is empty, expected data", path);
    checksum = checksum_of(file.bytes, checksum);
    if (!inputs.source.empty()) inputs.source += ", ";
    inputs.source += std::filesystem::path(path).filename().string();
    inputs.files.push_back(std::move(file));
  }
  inputs.checksum = checksum_text(checksum);
  return inputs;
}

ValidationSplit::ValidationSplit(const ImportOptions& options, std::int64_t count)
    : count_(count), rule_(options.split), seed_(options.seed) {
  if (!(options.validation >= 0 && options.validation < 1)) {
    fail(ExitCode::kUsage, "validation fraction {}, expected at least 0 and below 1",
         options.validation);
  }
  if (options.validation > 0 && count > 1) {
    size_ = std::clamp<std::int64_t>(std::llround(options.validation * static_cast<double>(count)),
                                     1, count - 1);
  }
}

bool ValidationSplit::contains(std::int64_t item) const {
  if (size_ == 0) return false;
  if (rule_ == SplitRule::kEnd) return item >= count_ - size_;
  return permute(item, count_, seed_, RandomPurpose::kSplit, 0) < size_;
}

std::size_t cut_of_lone_document(std::size_t size, double validation) {
  if (!(validation > 0 && validation < 1)) return size;
  return size - static_cast<std::size_t>(static_cast<double>(size) * validation);
}

void remove_stale_validation(const std::string& out) {
  std::error_code ignored;
  std::filesystem::remove(validation_path(out), ignored);
}

ImportReport write_documents(
    const std::string& out, TokenHeader header, const std::vector<DocumentRange>& documents,
    const ImportOptions& options,
    const std::function<void(const DocumentRange&, std::vector<std::uint32_t>&)>& encode) {
  const auto count = static_cast<std::int64_t>(documents.size());
  const ValidationSplit split(options, count);
  TokenWriter train(out, header);
  TokenWriter validation(validation_path(out), std::move(header));
  std::vector<std::uint32_t> tokens;
  for (std::int64_t i = 0; i < count; ++i) {
    tokens.clear();
    encode(documents[static_cast<std::size_t>(i)], tokens);
    (split.contains(i) ? validation : train).append(tokens);
  }
  if (train.tokens() == 0) {
    fail(ExitCode::kBadData,
         "nothing to train on: {} documents gave no tokens; check the input files", count);
  }
  ImportReport report;
  if (validation.tokens() > 0) {
    validation.commit();
    report.validation = {validation_path(out), validation.documents(), validation.tokens()};
  } else {
    remove_stale_validation(out);
  }
  train.commit();
  report.train = {out, train.documents(), train.tokens()};
  return report;
}

}  // namespace ingot
