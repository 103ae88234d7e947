// GPT-2's own file format: vocab.json maps spelled tokens to ids, merges.txt has a merge per line.
#include "ops/base/error.hpp"
#include "runtime/data/tokenizer/bpe_files.hpp"
#include "runtime/data/tokenizer/bpe_vocabulary.hpp"

namespace ingot {

std::unique_ptr<Tokenizer> bpe_from_gpt2_pair(const nlohmann::json& vocabulary,
                                              const std::string& vocabulary_origin,
                                              const std::string& merges,
                                              const std::string& merges_origin) {
  // The pair does not say which tokens are marks; GPT-2 has this one.
  const std::string mark = "<|endoftext|>";
  std::vector<AddedToken> added;
  if (vocabulary.is_object() && vocabulary.contains(mark) &&
      vocabulary[mark].is_number_unsigned()) {
    added.push_back({.id = vocabulary[mark].get<std::uint32_t>(), .content = mark});
  }
  BpeVocabulary builder(vocabulary, std::move(added), vocabulary_origin);
  std::int64_t number = 0;
  for (std::size_t begin = 0; begin < merges.size();) {
    std::size_t end = merges.find('\n', begin);
    if (end == std::string::npos) end = merges.size();
    std::string_view line = std::string_view(merges).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      fail(ExitCode::kBadData,
           "{}: line {} is \"{}\", expected two tokens and a space between them", merges_origin,
           number, line.substr(0, 80));
    }
    builder.add_merge(line.substr(0, space), line.substr(space + 1), merges_origin + " line",
                      number);
  }
  return std::make_unique<ByteLevelBpe>(builder.take());
}

}  // namespace ingot
