// The table of matrix algorithms: what goes out as text comes back, and damaged text is refused.
#include "ops/linear/matrix_algorithms.hpp"

#include <gtest/gtest.h>

#include <string>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

MatrixAlgorithm algorithm(std::uint64_t first, double seconds) {
  MatrixAlgorithm made;
  made.bytes[0] = first;
  made.bytes[7] = ~first;
  made.seconds = seconds;
  return made;
}

TEST(MatrixAlgorithmsTest, ExportAndImportGiveTheSameTable) {
  MatrixAlgorithms out;
  out.add("GPU A, cuBLASLt 130100: 768 x 1024 x 3072 TN bf16 to bf16, bias = b",
          algorithm(5, 0.25));
  out.add("second", algorithm(0xffff'0000'1234'5678, 1.0 / 3));
  out.add("none", {});
  MatrixAlgorithms in;
  in.import_text(out.export_text());
  EXPECT_EQ(in.table(), out.table());
  EXPECT_FALSE(in.find("none")->exists());
  EXPECT_FALSE(in.find("unknown").has_value());
}

TEST(MatrixAlgorithmsTest, WhatWasChosenStays) {
  MatrixAlgorithms table;
  EXPECT_EQ(table.add("product", algorithm(1, 0)).bytes[0], 1U);
  EXPECT_EQ(table.add("product", algorithm(2, 0)).bytes[0], 1U);
  EXPECT_EQ(table.find("product")->bytes[0], 1U);
}

TEST(MatrixAlgorithmsTest, ImportOverridesWhatWasChosenHere) {
  MatrixAlgorithms rank_0, other;
  rank_0.add("product", algorithm(1, 0));
  other.add("product", algorithm(2, 0));
  other.import_text(rank_0.export_text());
  EXPECT_EQ(other.find("product")->bytes[0], 1U);
}

TEST(MatrixAlgorithmsTest, TheChecksumIsOfWhichProductsUseWhichAlgorithms) {
  const auto checksum_of = [](const std::string& key, const MatrixAlgorithm& used) {
    MatrixAlgorithms table;
    table.import_one("merely known", algorithm(used.bytes[0] + 1, 0));
    table.import_one(key, used);
    table.find(key);
    EXPECT_EQ(table.used().size(), 1U);
    return table.used_checksum();
  };
  const std::string expected = checksum_of("product", algorithm(1, 0.5));
  EXPECT_EQ(checksum_of("product", algorithm(1, 0.25)), expected);
  EXPECT_NE(checksum_of("product", algorithm(2, 0.5)), expected);
  EXPECT_NE(checksum_of("another", algorithm(1, 0.5)), expected);
}

TEST(MatrixAlgorithmsTest, DamagedTextIsRefusedWholeAndNamed) {
  MatrixAlgorithms good;
  good.add("product", algorithm(1, 0.5));
  const std::string line = good.export_text();
  const std::size_t digits = line.find(" = ") + 3;
  const auto damaged = [&](std::size_t at, char with) {
    std::string text = line;
    text[at] = with;
    return text;
  };
  for (const std::string& text :
       {std::string("product\n"), line.substr(0, digits + 20), damaged(digits + 3, 'g'),
        damaged(digits + 128, '0'), line.substr(0, digits + 129) + "nan\n",
        line.substr(0, digits + 129) + "-1\n", line.substr(digits - 3), std::string(1, '\0')}) {
    MatrixAlgorithms table;
    try {
      table.import_text(line + text);
      ADD_FAILURE() << "accepted: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadData);
      EXPECT_NE(std::string(error.what()).find("line 2"), std::string::npos) << error.what();
    }
    EXPECT_TRUE(table.table().empty());
  }
}

}  // namespace
}  // namespace ingot
