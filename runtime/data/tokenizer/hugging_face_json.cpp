// Writing a Hugging Face tokenizer.json. The text depends on nothing but the tokenizer, so that
// equal tokenizers give equal checksums; it is put together by hand to keep tokens in id order.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/data/tokenizer/bpe.hpp"
#include "runtime/data/tokenizer/byte_alphabet.hpp"

namespace ingot {
namespace {

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string pre_tokenizer(WordPattern pattern) {
  constexpr auto kByteLevel =
      R"({{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":{}}})";
  if (pattern == WordPattern::kGpt2) return fmt::format(kByteLevel, true);
  const std::string bytes = fmt::format(kByteLevel, false);
  if (pattern == WordPattern::kWhole) return bytes;
  return R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":)" +
         json_string(regex_of_pattern(pattern)) + R"(},"behavior":"Isolated","invert":false},)" +
         bytes + "]}";
}

std::string added_tokens(const std::vector<AddedToken>& tokens) {
  std::string text;
  for (const AddedToken& token : tokens) {
    text +=
        fmt::format(R"({}{{"id":{},"content":{},"single_word":false,"lstrip":false,"rstrip":false,)"
                    R"("normalized":{},"special":{}}})",
                    text.empty() ? "" : ",", token.id, json_string(token.content), token.normalized,
                    token.special);
  }
  return text;
}

}  // namespace

std::string hugging_face_json(const BpeDescription& description) {
  const ByteAlphabet alphabet;
  std::vector<bool> only_added(description.tokens.size());
  std::vector<bool> by_content(description.tokens.size());
  for (const AddedToken& token : description.added) {
    (token.in_vocabulary ? by_content : only_added)[token.id] = true;
  }
  std::string vocabulary;
  for (std::size_t id = 0; id < description.tokens.size(); ++id) {
    if (only_added[id]) continue;
    const std::string& bytes = description.tokens[id];
    vocabulary += fmt::format("{}{}:{}", vocabulary.empty() ? "" : ",",
                              json_string(by_content[id] ? bytes : alphabet.spell(bytes)), id);
  }
  std::string merges;
  for (const BpeDescription::Merge& merge : description.merges) {
    const std::string pair = alphabet.spell(description.tokens[merge.left]) + " " +
                             alphabet.spell(description.tokens[merge.right]);
    merges += (merges.empty() ? "" : ",") + json_string(pair);
  }
  return R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[)" +
         added_tokens(description.added) + R"(],"normalizer":null,"pre_tokenizer":)" +
         pre_tokenizer(description.pattern) +
         R"(,"post_processor":null,"decoder":{"type":"ByteLevel","add_prefix_space":true,)"
         R"("trim_offsets":true,"use_regex":true},"model":{"type":"BPE","dropout":null,)"
         R"("unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,)"
         R"("fuse_unk":false,"byte_fallback":false,"ignore_merges":)" +
         (description.ignore_merges ? "true" : "false") + R"(,"vocab":{)" + vocabulary +
         R"(},"merges":[)" + merges + "]}}";
}

}  // namespace ingot
