// metrics.jsonl: exact numbers, resuming, and disks that are full.
#include "runtime/metrics/jsonl.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Jsonl : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "ingot-metrics-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = folder_ / "metrics.jsonl";
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string content() const {
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }
  std::vector<std::int64_t> steps() const {
    std::vector<std::int64_t> result;
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) result.push_back(json::parse(line)["step"]);
    return result;
  }

  fs::path folder_;
  std::string path_;
};

TEST(MetricsRow, PrintsFieldsAsJson) {
  EXPECT_EQ(MetricsRow(3).add("loss", 2.0).add("name", "a\"b").add("skipped", true).text(),
            R"({"step": 3, "loss": 2.0, "name": "a\"b", "skipped": true})");
  EXPECT_EQ(MetricsRow(1).add("loss", std::nan("")).text(), R"({"step": 1, "loss": null})");
}

TEST(MetricsRow, PrintsNumbersThatReadBackToTheSameBits) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 generator(seed);
  std::vector<double> values = {0.0, -0.0, 0.1, 1e22, 5e-324, std::numeric_limits<double>::max()};
  while (values.size() < 2000) {
    const double value = std::bit_cast<double>(generator());
    if (std::isfinite(value)) values.push_back(value);
  }
  for (const double value : values) {
    const json row = json::parse(MetricsRow(1).add("loss", value).text());
    ASSERT_TRUE(row["loss"].is_number_float()) << row;
    ASSERT_EQ(std::bit_cast<std::uint64_t>(row["loss"].get<double>()),
              std::bit_cast<std::uint64_t>(value));
  }
}

TEST_F(Jsonl, AppendsARowPerLine) {
  MetricsFile file(path_, {});
  file.write(MetricsRow(1).add("loss", 4.5));
  EXPECT_EQ(content(), "{\"step\": 1, \"loss\": 4.5}\n") << "readable at once";
  file.write(MetricsRow(2).add("loss", 4.25));
  EXPECT_EQ(steps(), (std::vector<std::int64_t>{1, 2}));
}

TEST_F(Jsonl, DropsLaterRowsAndBrokenLinesOnResume) {
  std::ofstream(path_)
      << "{\"step\": 1, \"loss\": 0.1}\n{\"step\": 2, \"loss\": 1}\nrubbish\n"
         "{\"step\": 2, \"validation_loss\": 3}\n{\"step\": 3}\n{\"step\": 4, \"lo";
  MetricsFile file(path_, {.resumed_step = 2});
  file.write(MetricsRow(3));
  EXPECT_EQ(steps(), (std::vector<std::int64_t>{1, 2, 2, 3}));
  EXPECT_THAT(content(), testing::StartsWith("{\"step\": 1, \"loss\": 0.1}\n")) << "bytes kept";
}

TEST_F(Jsonl, StartsEmptyForANewRunAndWithoutAFileOnResume) {
  {
    MetricsFile file(path_, {.resumed_step = 5});
    file.write(MetricsRow(6));
    EXPECT_EQ(steps(), (std::vector<std::int64_t>{6}));
  }
  MetricsFile file(path_, {});
  EXPECT_EQ(content(), "");
}

TEST_F(Jsonl, IsReadableByItsOwnerAloneWhereAsked) {
  { MetricsFile file(path_, {.owner_only = true}); }
  MetricsFile file(path_, {.resumed_step = 1, .owner_only = true});
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(Jsonl, WarnsOnceAndGoesOnWhereTheDiskIsFull) {
  int warnings = 0;
  std::string message;
  MetricsFile file("/dev/full", {.warn = [&](const std::string& text) {
                     ++warnings;
                     message = text;
                   }});
  for (int step = 1; step <= 3; ++step) file.write(MetricsRow(step));
  EXPECT_EQ(warnings, 1);
  EXPECT_THAT(message, testing::HasSubstr("/dev/full"));
}

TEST_F(Jsonl, CannotBeOpenedInAFolderThatDoesNotExist) {
  try {
    MetricsFile file(folder_ / "none" / "metrics.jsonl", {});
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kCannotWrite);
  }
}

}  // namespace
}  // namespace ingot
