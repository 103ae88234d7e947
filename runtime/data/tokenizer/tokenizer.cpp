// Choosing the tokenizer: by the name a user gives, or by the text that a data set carries.
#include "runtime/data/tokenizer/tokenizer.hpp"

#include <filesystem>

#include "ops/base/error.hpp"
#include "ops/base/file.hpp"
#include "runtime/data/tokenizer/bounded_json.hpp"
#include "runtime/data/tokenizer/bpe_files.hpp"
#include "runtime/data/tokenizer/bytes.hpp"

namespace ingot {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<Tokenizer> from_json(const nlohmann::json& json, const std::string& origin) {
  if (json.is_object() && json.contains("type") && json["type"] == "bytes") {
    return std::make_unique<ByteTokenizer>();
  }
  return bpe_from_hugging_face(json, origin);
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& spec) {
  if (spec == "bytes") return std::make_unique<ByteTokenizer>();
  std::error_code ignored;
  fs::path path = spec;
  if (fs::is_directory(path, ignored)) {
    if (fs::exists(path / "tokenizer.json", ignored)) {
      path /= "tokenizer.json";
    } else if (fs::exists(path / "vocab.json", ignored)) {
      path /= "vocab.json";
    } else {
      fail(ExitCode::kBadData,
           "tokenizer {}: the folder holds neither tokenizer.json nor vocab.json and merges.txt",
           spec);
    }
  } else if (!fs::exists(path, ignored)) {
    fail(ExitCode::kBadData,
         "tokenizer {}: no such file; give \"bytes\", a Hugging Face tokenizer.json, or a folder "
         "with tokenizer.json or with vocab.json and merges.txt",
         spec);
  }
  const nlohmann::json json = parse_bounded_json(read_bounded_file(path.string()), path.string());
  const bool is_pair = json.is_object() && !json.contains("model") && !json.contains("type");
  if (!is_pair) return from_json(json, path.string());
  const std::string merges = (path.parent_path() / "merges.txt").string();
  if (!fs::exists(merges, ignored)) {
    fail(ExitCode::kBadData,
         "tokenizer {}: has no \"model\" as a tokenizer.json does, and to be GPT-2's vocab.json it "
         "needs {} beside it, which does not exist",
         path.string(), merges);
  }
  return bpe_from_gpt2_pair(json, path.string(), read_bounded_file(merges), merges);
}

std::unique_ptr<Tokenizer> restore_tokenizer(const std::string& serialised,
                                             const std::string& origin) {
  return from_json(parse_bounded_json(serialised, origin), origin);
}

void write_tokenizer(const Tokenizer& tokenizer, const std::string& path) {
  write_file_atomically(path, tokenizer.serialise() + "\n");
}

}  // namespace ingot
