// Aligned tables.
#include "runtime/metrics/table.hpp"

#include <gtest/gtest.h>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

TEST(Table, AlignsColumnsAndDrawsRules) {
  Table table({{"name", false}, {"shape", false}, {"values", true}});
  table.add({"embedding", "50257 x 768", "38,597,376"});
  table.add({"bias", "768", "768"});
  table.add_rule();
  table.add({"total", "", "38,598,144"});
  EXPECT_EQ(table.render(),
            "name       shape            values\n"
            "----------------------------------\n"
            "embedding  50257 x 768  38,597,376\n"
            "bias       768                 768\n"
            "----------------------------------\n"
            "total                   38,598,144\n");
}

TEST(Table, CountsColumnsOfTheTerminalAndNotBytes) {
  Table table({{"n", false}, {"v", true}});
  table.add({"中文", "1"});
  table.add({"é", "2"});
  EXPECT_EQ(table.render(),
            "n     v\n"
            "-------\n"
            "中文  1\n"
            "é     2\n");
}

TEST(DisplayWidth, KnowsWideCombiningAndBrokenCharacters) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("中文"), 4);
  EXPECT_EQ(display_width("e\u0301"), 1);
  EXPECT_EQ(display_width("\xFF\xFE"), 2);
  EXPECT_EQ(fit_width("中文字", 5), "中文");
  EXPECT_EQ(fit_width("abc", 3), "abc");
  EXPECT_EQ(fit_width("abc", 0), "");
}

TEST(Table, RefusesARowOfTheWrongLength) {
  Table table({{"a", false}, {"b", false}});
  EXPECT_THROW(table.add({"1"}), Error);
}

TEST(Separators, StandBetweenGroupsOfThree) {
  EXPECT_EQ(with_separators(0), "0");
  EXPECT_EQ(with_separators(999), "999");
  EXPECT_EQ(with_separators(1000), "1,000");
  EXPECT_EQ(with_separators(-1234567), "-1,234,567");
}

}  // namespace
}  // namespace ingot
