// Byte-level BPE from the two file formats in use. What changes the tokens and is not supported is
// refused by name, so that a tokenizer never quietly gives other ids than where it came from.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "runtime/data/tokenizer/tokenizer.hpp"

namespace ingot {

/// From the content of a Hugging Face tokenizer.json. Its post-processor, padding and truncation
/// are not used: encode() gives what `encode(text, add_special_tokens=False)` gives there. `origin`
/// names the file in errors, which are kBadData.
std::unique_ptr<Tokenizer> bpe_from_hugging_face(const nlohmann::json& json,
                                                 const std::string& origin);

/// From GPT-2's vocab.json, already parsed, and the text of merges.txt; the pattern is GPT-2's.
std::unique_ptr<Tokenizer> bpe_from_gpt2_pair(const nlohmann::json& vocabulary,
                                              const std::string& vocabulary_origin,
                                              const std::string& merges,
                                              const std::string& merges_origin);

}  // namespace ingot
