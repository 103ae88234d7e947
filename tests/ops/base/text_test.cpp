#include "ops/base/text.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace ingot {
namespace {

TEST(Text, EditDistanceCountsSwapsOfNeighboursAsOne) {
  EXPECT_EQ(edit_distance("model", "model"), 0U);
  EXPECT_EQ(edit_distance("modle", "model"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
}

TEST(Text, NearestNameIsFoundOnlyWhenItIsNear) {
  const std::vector<std::string> names = {"steps", "tokens", "epochs"};
  EXPECT_EQ(nearest_name("stpes", names), "steps");
  EXPECT_EQ(nearest_name("token", names), "tokens");
  EXPECT_EQ(nearest_name("precision", names), std::nullopt);
  EXPECT_EQ(nearest_name(std::string(100000, 'x'), names), std::nullopt);
  EXPECT_EQ(did_you_mean("epoch", names), "; did you mean 'epochs'?");
}

TEST(Text, MalformedUtf8IsFoundWhereItStarts) {
  EXPECT_EQ(invalid_utf8_offset("a\xc3\xa4\xf0\x9f\x98\x80z"), 8U);
  EXPECT_EQ(invalid_utf8_offset("ab\xff"), 2U);
  EXPECT_EQ(invalid_utf8_offset("a\xc0\xaf"), 1U) << "overlong";
  EXPECT_EQ(invalid_utf8_offset("\xed\xa0\x80"), 0U) << "surrogate";
  EXPECT_EQ(invalid_utf8_offset("\xf4\x90\x80\x80"), 0U) << "above U+10FFFF";
  EXPECT_EQ(invalid_utf8_offset("abc\xe2\x82"), 3U) << "cut off";
}

TEST(Text, PrintableEscapesControlCharactersAndCutsLongText) {
  EXPECT_EQ(printable("a\x1b[31m\xff"), "a\\x1b[31m\\xff");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(printable("abc", 3), "abc");
}

TEST(Text, AlternativesAreJoinedAsInASentence) {
  EXPECT_EQ(join_alternatives(std::vector<std::string>{"a", "b", "c"}), "a, b or c");
  EXPECT_EQ(join_alternatives(std::vector<std::string>{"a"}), "a");
}

}  // namespace
}  // namespace ingot
