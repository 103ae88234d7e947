#include "runtime/checkpoint/manifest.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "ops/base/checksum.hpp"
#include "ops/base/text.hpp"
#include "runtime/checkpoint/json_fields.hpp"
#include "runtime/data/tokenizer/bounded_json.hpp"

namespace ingot {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "ingot checkpoint";
constexpr JsonLimits kLimits = {std::int64_t{256} << 20, 16, std::int64_t{16} << 20};
constexpr std::int64_t kMaxInteger = std::int64_t{1} << 62;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 48;
constexpr std::size_t kMaxName = 1000;
constexpr std::size_t kMaxList = std::size_t{4} << 20;

std::string dump(const json& value) {
  // File names in a configuration need not be UTF-8; JSON has to be.
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json render(const TrainingState& state) {
  const ModelData& data = state.model_data;
  return {{"step", state.step},
          {"adam_step", state.adam_step},
          {"samples", state.samples},
          {"tokens", state.tokens},
          {"seed", state.seed},
          {"sampler_version", state.sampler_version},
          {"data_checksum", state.data_checksum},
          {"fingerprint", state.fingerprint},
          {"precision", state.precision},
          {"optimizer", state.optimizer},
          {"loss", std::isfinite(state.loss) ? json(state.loss) : json(nullptr)},
          {"model_data",
           {{"vocabulary", data.vocabulary},
            {"features", data.features},
            {"category_columns", data.category_columns},
            {"category_rows", data.category_rows},
            {"classes", data.classes}}}};
}

TrainingState parse_training(const JsonFields& fields) {
  TrainingState state;
  state.step = fields.integer("step", 0, kMaxInteger);
  state.adam_step = fields.integer("adam_step", 0, kMaxInteger);
  state.samples = fields.integer("samples", 0, kMaxInteger);
  state.tokens = fields.integer("tokens", 0, kMaxInteger);
  state.seed = fields.unsigned_integer("seed");
  state.sampler_version = fields.integer("sampler_version", 0, kMaxInteger);
  state.data_checksum = fields.text("data_checksum", kMaxName);
  state.fingerprint = fields.text("fingerprint", std::size_t{1} << 20);
  state.precision = fields.text("precision", kMaxName);
  state.optimizer = fields.text("optimizer", kMaxName);
  const json& loss = fields.at("loss");
  if (!loss.is_null() && !loss.is_number()) fields.refuse("loss", loss.type_name(), "a number");
  if (loss.is_number()) state.loss = loss.get<double>();
  const JsonFields data = fields.object("model_data");
  state.model_data.vocabulary = data.integer("vocabulary", 0, kMaxElements);
  state.model_data.features = data.integer("features", 0, kMaxElements);
  state.model_data.category_columns = data.integer("category_columns", 0, kMaxElements);
  state.model_data.category_rows = data.integer("category_rows", 0, kMaxElements);
  state.model_data.classes = data.integer("classes", 0, kMaxElements);
  return state;
}

TensorEntry parse_tensor(const JsonFields& fields) {
  TensorEntry entry;
  entry.name = fields.text("name", kMaxName);
  const json& extents = fields.array("shape", Shape::kMaxRank);
  std::vector<std::int64_t> sizes;
  std::int64_t count = 1;
  for (const json& extent : extents) {
    if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() > kMaxElements ||
        __builtin_mul_overflow(count, extent.get<std::int64_t>(), &count) || count > kMaxElements) {
      fields.refuse("shape", dump(extents), "extents that a tensor can have");
    }
    sizes.push_back(extent.get<std::int64_t>());
  }
  entry.shape = Shape(std::span<const std::int64_t>(sizes));
  return entry;
}

std::string parse_checksum(const JsonFields& fields) {
  const std::string text = fields.text("xxh3_128", 32);
  if (text.size() != 32 || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
    fields.refuse("xxh3_128", printable(text), "32 hexadecimal digits");
  }
  return text;
}

json render(const FileEntry& file) {
  json datasets = json::array();
  for (const DatasetEntry& dataset : file.datasets) {
    datasets.push_back({{"name", dataset.name}, {"xxh3_128", dataset.checksum}});
  }
  return {{"name", file.name},
          {"bytes", file.bytes},
          {"xxh3_128", file.checksum},
          {"datasets", std::move(datasets)}};
}

FileEntry parse_file(const JsonFields& fields) {
  FileEntry entry;
  entry.name = fields.text("name", kMaxName);
  entry.bytes = fields.integer("bytes", 0, kMaxInteger);
  entry.checksum = parse_checksum(fields);
  for (const json& value : fields.array("datasets", kMaxList)) {
    const JsonFields dataset(value, fields.place() + ": datasets");
    entry.datasets.push_back({dataset.text("name", kMaxName), parse_checksum(dataset)});
  }
  return entry;
}

void check_names(const Manifest& manifest, const std::string& origin) {
  for (std::size_t rank = 0; rank < manifest.rank_files.size(); ++rank) {
    const std::string expected = rank_file_name(static_cast<int>(rank));
    if (manifest.rank_files[rank].name != expected) {
      fail(ExitCode::kCheckpoint, "{}: file {} of the ranks is '{}', expected '{}'", origin, rank,
           printable(manifest.rank_files[rank].name), expected);
    }
  }
  // Names become paths: only known ones do.
  std::set<std::string> allowed = {kConfigName, kTokenizerName, kColumnsName};
  for (const FileEntry& file : manifest.text_files) {
    if (allowed.erase(file.name) == 0) {
      fail(ExitCode::kCheckpoint, "{}: unexpected file '{}'", origin, printable(file.name));
    }
  }
  std::set<std::string> tensors;
  for (const TensorEntry& tensor : manifest.tensors) {
    if (!tensors.insert(tensor.name).second) {
      fail(ExitCode::kCheckpoint, "{}: the tensor '{}' is listed twice", origin,
           printable(tensor.name));
    }
  }
}

Manifest parse_body(const json& body, const std::string& origin) {
  const JsonFields fields(body, origin);
  if (const auto format = fields.text("format", kMaxName); format != kFormat) {
    fields.refuse("format", printable(format), kFormat);
  }
  const std::int64_t version = fields.integer("format_version", 0, kMaxInteger);
  if (version < 1 || version > kCheckpointVersion) {
    fail(ExitCode::kCheckpoint,
         "{}: format version {}, this ingot reads versions 1 to {}; use the ingot that wrote it",
         origin, version, kCheckpointVersion);
  }
  Manifest manifest;
  manifest.training = parse_training(fields.object("training"));
  for (const json& kind : fields.array("kinds", 100)) {
    if (!kind.is_string()) fields.refuse("kinds", dump(kind), "names");
    manifest.kinds.push_back(kind.get<std::string>());
  }
  for (const json& value : fields.array("tensors", kMaxList)) {
    manifest.tensors.push_back(parse_tensor(JsonFields(value, origin + ": tensors")));
  }
  for (const json& value : fields.array("rank_files", std::size_t{1} << 20)) {
    manifest.rank_files.push_back(parse_file(JsonFields(value, origin + ": rank_files")));
  }
  for (const json& value : fields.array("text_files", 100)) {
    manifest.text_files.push_back(parse_file(JsonFields(value, origin + ": text_files")));
  }
  check_names(manifest, origin);
  return manifest;
}

}  // namespace

std::string rank_file_name(int rank) {
  return fmt::format("rank-{:05}.h5", rank);
}

std::string render_manifest(const Manifest& manifest) {
  json tensors = json::array();
  for (const TensorEntry& tensor : manifest.tensors) {
    const auto extents = tensor.shape.extents();
    tensors.push_back({{"name", tensor.name},
                       {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())}});
  }
  json ranks = json::array();
  for (const FileEntry& file : manifest.rank_files) ranks.push_back(render(file));
  json texts = json::array();
  for (const FileEntry& file : manifest.text_files) texts.push_back(render(file));
  const json body = {{"format", kFormat},
                     {"format_version", kCheckpointVersion},
                     {"training", render(manifest.training)},
                     {"world_size", manifest.rank_files.size()},
                     {"kinds", manifest.kinds},
                     {"tensors", std::move(tensors)},
                     {"rank_files", std::move(ranks)},
                     {"text_files", std::move(texts)}};
  // What is checksummed has to be what a reader parses, bytes replaced by dump() included.
  const json written = json::parse(dump(body));
  const std::string text = dump(written);
  const json file = {{"checksum", checksum128(std::as_bytes(std::span(text))).text()},
                     {"manifest", written}};
  return file.dump(1) + "\n";
}

Manifest parse_manifest(const std::string& text, const std::string& origin) {
  json file;
  try {
    file = parse_bounded_json(text, origin, kLimits);
  } catch (const Error& error) {
    throw Error(ExitCode::kCheckpoint, error.what());
  }
  const JsonFields fields(file, origin);
  const std::string expected = fields.text("checksum", 32);
  const json& body = fields.at("manifest");
  const std::string body_text = dump(body);
  const std::string found = checksum128(std::as_bytes(std::span(body_text))).text();
  if (found != expected) {
    fail(ExitCode::kCheckpoint,
         "{}: damaged or edited: its checksum is {}, expected {}; use another checkpoint", origin,
         found, printable(expected));
  }
  return parse_body(body, origin);
}

}  // namespace ingot
