// Reading a Hugging Face tokenizer.json: which settings are understood, which are refused.
#include <array>

#include "ops/base/error.hpp"
#include "runtime/data/tokenizer/bpe_files.hpp"
#include "runtime/data/tokenizer/bpe_vocabulary.hpp"

namespace ingot {
namespace {

using nlohmann::json;

/// The member `key`, or null where there is none.
const json& member(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

/// JSON text short enough for a message, in ASCII whatever the input holds.
std::string brief(const json& value) {
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > 120) text = text.substr(0, 117) + "...";
  return text;
}

[[noreturn]] void refuse(const std::string& origin, const std::string& what, const json& found,
                         const char* supported) {
  fail(ExitCode::kBadData, "{}: {} is {}, which is not supported; supported: {}", origin, what,
       brief(found), supported);
}

/// Refuses a switch that is on.
void require_off(const json& object, const char* key, const std::string& where,
                 const std::string& origin) {
  const json& value = member(object, key);
  const bool off = value.is_null() || value == false || value == "" || value == 0.0;
  if (!off) refuse(origin, where + "." + key, value, "null, false or empty");
}

/// The pattern that a ByteLevel pre-tokenizer cuts by.
WordPattern byte_level_pattern(const json& settings, const std::string& origin) {
  if (member(settings, "type") != "ByteLevel") {
    refuse(origin, "the pre_tokenizer", settings,
           "ByteLevel, or a Sequence of Split by the pattern of GPT-2, cl100k (Llama 3) or Qwen 2 "
           "and ByteLevel");
  }
  const json& prefix = member(settings, "add_prefix_space");
  if (prefix != false) {
    refuse(origin, "pre_tokenizer.add_prefix_space", prefix,
           "false, because the added space would not be the text's own");
  }
  const json& use_regex = member(settings, "use_regex");
  if (!use_regex.is_null() && !use_regex.is_boolean()) {
    refuse(origin, "pre_tokenizer.use_regex", use_regex, "true or false");
  }
  return use_regex == false ? WordPattern::kWhole : WordPattern::kGpt2;
}

/// The pattern of a Split pre-tokenizer.
WordPattern split_pattern(const json& split, const std::string& origin) {
  const json& regex = member(member(split, "pattern"), "Regex");
  const bool isolated = member(split, "behavior") == "Isolated" && member(split, "invert") != true;
  // The patterns match all text, so that removing what they do not match removes nothing.
  const bool inverted = member(split, "behavior") == "Removed" && member(split, "invert") == true;
  if (!regex.is_string() || !(isolated || inverted)) {
    refuse(origin, "the pre_tokenizer's Split", split,
           "a Regex with behavior Isolated and invert false");
  }
  const auto pattern = pattern_of_regex(regex.get_ref<const std::string&>());
  if (!pattern) {
    refuse(origin, "the pre_tokenizer's pattern", regex,
           "the patterns of GPT-2, cl100k (Llama 3) and Qwen 2");
  }
  return *pattern;
}

WordPattern read_pattern(const json& settings, const std::string& origin) {
  if (member(settings, "type") != "Sequence") return byte_level_pattern(settings, origin);
  const json& steps = member(settings, "pretokenizers");
  if (steps.is_array() && steps.size() == 1) return byte_level_pattern(steps[0], origin);
  if (!steps.is_array() || steps.size() != 2 || member(steps[0], "type") != "Split") {
    refuse(origin, "the pre_tokenizer", settings, "ByteLevel, or Split followed by ByteLevel");
  }
  const WordPattern pattern = split_pattern(steps[0], origin);
  if (byte_level_pattern(steps[1], origin) != WordPattern::kWhole) {
    refuse(origin, "pre_tokenizer.use_regex after a Split", member(steps[1], "use_regex"), "false");
  }
  return pattern;
}

std::vector<AddedToken> read_added(const json& list, const std::string& origin) {
  std::vector<AddedToken> added;
  if (list.is_null()) return added;
  if (!list.is_array()) refuse(origin, "added_tokens", list, "an array");
  for (std::size_t index = 0; index < list.size(); ++index) {
    const json& entry = list[index];
    const std::string where = fmt::format("added_tokens[{}]", index);
    const json& id = member(entry, "id");
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > 0xFFFFFFFFU) {
      refuse(origin, where + ".id", id, "a whole number");
    }
    const json& content = member(entry, "content");
    if (!content.is_string()) refuse(origin, where + ".content", content, "a text");
    for (const char* key : {"single_word", "lstrip", "rstrip"}) {
      require_off(entry, key, where, origin);
    }
    added.push_back({.id = id.get<std::uint32_t>(),
                     .content = content.get<std::string>(),
                     .special = member(entry, "special") == true,
                     .normalized = member(entry, "normalized") == true});
  }
  return added;
}

void read_merges(const json& merges, BpeVocabulary& builder, const std::string& origin) {
  if (!merges.is_array()) refuse(origin, "model.merges", merges, "an array");
  for (std::size_t index = 0; index < merges.size(); ++index) {
    const json& entry = merges[index];
    const auto number = static_cast<std::int64_t>(index);
    if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
      builder.add_merge(entry[0].get_ref<const std::string&>(),
                        entry[1].get_ref<const std::string&>(), origin, number);
      continue;
    }
    const std::string_view text =
        entry.is_string() ? std::string_view(entry.get_ref<const std::string&>()) : "";
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
      refuse(origin, fmt::format("model.merges[{}]", index), entry, "\"left right\" or two texts");
    }
    builder.add_merge(text.substr(0, space), text.substr(space + 1), origin, number);
  }
}

}  // namespace

std::unique_ptr<Tokenizer> bpe_from_hugging_face(const json& file, const std::string& origin) {
  const json& model = member(file, "model");
  if (!model.is_object()) {
    fail(ExitCode::kBadData, "{}: not a tokenizer.json: it has no \"model\"", origin);
  }
  const json& type = member(model, "type");
  // GPT-2's own tokenizer.json is older than the field.
  if (!type.is_null() && type != "BPE") refuse(origin, "model.type", type, "BPE");
  for (const char* key :
       {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"}) {
    require_off(model, key, "model", origin);
  }
  if (!member(file, "normalizer").is_null()) {
    refuse(origin, "the normalizer", file["normalizer"],
           "none, because a text it changed would not come back");
  }
  const json& decoder = member(file, "decoder");
  if (!decoder.is_null() && member(decoder, "type") != "ByteLevel") {
    refuse(origin, "the decoder", decoder, "ByteLevel");
  }
  const WordPattern pattern = read_pattern(member(file, "pre_tokenizer"), origin);
  BpeVocabulary builder(member(model, "vocab"), read_added(member(file, "added_tokens"), origin),
                        origin);
  read_merges(member(model, "merges"), builder, origin);
  BpeDescription description = builder.take();
  description.pattern = pattern;
  description.ignore_merges = member(model, "ignore_merges") == true;
  return std::make_unique<ByteLevelBpe>(std::move(description));
}

}  // namespace ingot
