#include "ops/base/checksum.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace ingot {
namespace {

TEST(Checksum, OfNothingIsXxh3sPublishedValue) {
  EXPECT_EQ(checksum64_text(checksum64({})), "2d06800538d394c2");
  EXPECT_EQ(checksum128({}).text(), "99aa06d3014798d86001c324468d497f");
}

TEST(Checksum, OfPiecesEqualsTheChecksumOfTheWhole) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  std::vector<std::byte> bytes(5000);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  StreamingChecksum64 narrow;
  StreamingChecksum128 wide;
  for (std::size_t offset = 0; offset < bytes.size();) {
    const std::size_t piece = std::min<std::size_t>(random() % 700, bytes.size() - offset);
    narrow.add(std::span(bytes).subspan(offset, piece));
    wide.add(std::span(bytes).subspan(offset, piece));
    offset += piece;
  }
  EXPECT_EQ(narrow.digest(), checksum64(bytes));
  EXPECT_EQ(wide.digest(), checksum128(bytes));
}

}  // namespace
}  // namespace ingot
