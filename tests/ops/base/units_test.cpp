#include "ops/base/units.hpp"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

TEST(Units, BytesAreReadWithBinaryAndDecimalUnits) {
  EXPECT_EQ(parse_bytes("0"), 0);
  EXPECT_EQ(parse_bytes("4096"), 4096);
  EXPECT_EQ(parse_bytes("64KiB"), 65536);
  EXPECT_EQ(parse_bytes("16 MiB"), 16 << 20);
  EXPECT_EQ(parse_bytes("1.5GiB"), 3LL << 29);
  EXPECT_EQ(parse_bytes("2MB"), 2000000);
  EXPECT_EQ(parse_bytes("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
}

TEST(Units, BytesThatAreNotSaidClearlyAreRefused) {
  for (const char* text :
       {"", "MiB", "-1", "16mib", "16 MiB ", " 16MiB", "1e3", "0x10", "08", "1.5", "16  MiB",
        "9223372036854775808", "8388608TiB", "1.0.0MiB", "nan"}) {
    EXPECT_THROW(parse_bytes(text), Error) << text;
  }
}

TEST(Units, DurationsNeedAUnit) {
  EXPECT_EQ(parse_duration("0"), 0);
  EXPECT_EQ(parse_duration("90s"), 90);
  EXPECT_EQ(parse_duration("250ms"), 0.25);
  EXPECT_EQ(parse_duration("30min"), 1800);
  EXPECT_EQ(parse_duration("1.5 h"), 5400);
  EXPECT_EQ(parse_duration("2d"), 172800);
  try {
    parse_duration("30");
    FAIL() << "accepted a duration with no unit";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("such as 30s"));
  }
  for (const char* text : {"", "s", "-1s", "1m", "1:30", "inf s", "1e400s"}) {
    EXPECT_THROW(parse_duration(text), Error) << text;
  }
}

TEST(Units, CountsAreReadWithDecimalMultiples) {
  EXPECT_EQ(parse_count("1.2M"), 1200000);
  EXPECT_EQ(parse_count("3k"), 3000);
  EXPECT_EQ(parse_count("10G"), 10000000000);
  EXPECT_EQ(parse_count("10B"), 10000000000);
  for (const char* text : {"", "1.5", "1.2345k", "1K", "-3", "1e6"}) {
    EXPECT_THROW(parse_count(text), Error) << text;
  }
}

TEST(Units, FormattedQuantitiesReadBackToTheSameValue) {
  EXPECT_EQ(format_bytes(64 << 10), "64KiB");
  EXPECT_EQ(format_bytes(1000), "1000");
  EXPECT_EQ(format_duration(5400), "90min");
  EXPECT_EQ(format_duration(0.25), "0.25s");
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 2000; ++i) {
    const auto whole = static_cast<std::int64_t>(random() >> (1 + random() % 63));
    EXPECT_EQ(parse_bytes(format_bytes(whole)), whole);
    EXPECT_EQ(parse_count(format_count(whole)), whole);
    const double real = std::abs(std::bit_cast<double>(random()));
    if (std::isfinite(real)) {
      EXPECT_EQ(parse_duration(format_duration(real)), real);
    }
    EXPECT_EQ(parse_duration(format_duration(static_cast<double>(whole))),
              static_cast<double>(whole));
  }
}

TEST(Units, StrictNumbersRefuseWhatOtherReadersGuess) {
  EXPECT_EQ(parse_integer("-12"), -12);
  EXPECT_EQ(parse_integer("+12"), 12);
  EXPECT_EQ(parse_real("6e-4"), 6e-4);
  EXPECT_EQ(parse_real(".5"), 0.5);
  EXPECT_EQ(parse_real("-1."), -1);
  EXPECT_EQ(parse_unsigned("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
  for (const char* text : {"", "-", "+", "+-1", "08", "0x10", "1_000", "1e3", "1.0", " 1", "1 ",
                           "9223372036854775808"}) {
    EXPECT_EQ(parse_integer(text), std::nullopt) << text;
  }
  for (const char* text : {"", ".", "-.", "e5", "1e", "1e400", "nan", ".nan", "inf", "-.inf",
                           "08.5", "0x1p3", "1,5", "1e-9999"}) {
    EXPECT_EQ(parse_real(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_unsigned("-1"), std::nullopt);
}

TEST(Units, ApproximationsKeepThreeDigits) {
  EXPECT_EQ(approximate_bytes(1.5 * (1 << 30)), "1.50 GiB");
  EXPECT_EQ(approximate_bytes(12), "12 B");
  EXPECT_EQ(approximate_count(124439808), "124M");
  EXPECT_EQ(approximate_duration(3723), "1:02:03");
  EXPECT_EQ(approximate_duration(59.9), "59 s");
}

}  // namespace
}  // namespace ingot
