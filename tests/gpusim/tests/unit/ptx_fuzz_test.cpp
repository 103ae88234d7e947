// Damaged PTX must end in ParseError, never in a crash or in memory without bound.
#include <gtest/gtest.h>

#include <random>

#include "ptx/parse.hpp"
#include "ptx_samples.hpp"

namespace gpusim::ptx {
namespace {

TEST(ParserFuzz, DamagedTextEndsInParseErrorOrAModule) {
  const std::string seed_text = kKitchenSink;
  const std::string alphabet = "{}[]()<>;,:.@!|+-*/%$_=\"\n 09afxrdL~";
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  auto below = [&](std::size_t limit) { return random() % limit; };
  int refused = 0;
  constexpr int kRounds = 3000;
  for (int round = 0; round < kRounds; ++round) {
    std::string text = seed_text;
    for (std::size_t edits = 1 + below(4); edits > 0; --edits) {
      if (text.empty()) text = " ";
      const std::size_t at = below(text.size());
      switch (below(5)) {
        case 0:
          text[at] = alphabet[below(alphabet.size())];
          break;
        case 1:
          text.erase(at, below(30));
          break;
        case 2:
          text.insert(at, 1, alphabet[below(alphabet.size())]);
          break;
        case 3:
          text.insert(at, seed_text.substr(below(seed_text.size()), below(60)));
          break;
        default:
          text.resize(at + 1);
      }
    }
    try {
      std::vector<std::unique_ptr<Module>> modules;
      modules.push_back(parse(text, "damaged"));
      link(std::move(modules));
    } catch (const ParseError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, kRounds / 4) << "the damage must matter";
}

TEST(ParserFuzz, DeepNestingIsRefused) {
  const int depth = 100'000;
  for (const auto& [open, before] : {std::pair{"{", ""}, std::pair{"[", "ld.u32 "},
                                     std::pair{"{", "mov.b64 "}, std::pair{"(", "mov.b32 "}}) {
    std::string body = before;
    for (int i = 0; i < depth; ++i) body += open;
    EXPECT_THROW(parse(kernel_with(body), "deep"), ParseError);
  }
  std::string initial = ".global .u32 a";
  for (int i = 0; i < depth; ++i) initial += "[1]";
  initial += " = ";
  for (int i = 0; i < depth; ++i) initial += "{";
  EXPECT_THROW(parse(kHeader + initial, "deep"), ParseError);
}

}  // namespace
}  // namespace gpusim::ptx
