// Ranks that are threads, each with a table of its own, come to the algorithms of rank 0.
#include "runtime/train/agreed_algorithms.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "runtime/metrics/tuning.hpp"
#include "tests/runtime/checkpoint/fixture.hpp"

namespace ingot {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

MatrixAlgorithm algorithm(std::uint64_t first, double seconds) {
  MatrixAlgorithm made;
  made.bytes[0] = first;
  made.seconds = seconds;
  return made;
}

/// A process with the products "a" and "b", which every rank would decide differently.
class Process {
 public:
  explicit Process(RankExchange& exchange) : exchange_(exchange), log_(exchange.rank()) {}

  void prepare(const AlgorithmSource& source) {
    prepare_with_agreed_algorithms(table, source, exchange_, log_, [&] {
      for (const char* product : {"a", "b"}) {
        if (table.find(product)) continue;
        const bool measures = table.choice() == AlgorithmChoice::kMeasure;
        measured += measures ? 1 : 0;
        const auto rank = static_cast<std::uint64_t>(exchange_.rank());
        table.add(product, algorithm(rank + 10, measures ? 0.5 : 0));
      }
    });
    EXPECT_EQ(table.choice(), AlgorithmChoice::kHeuristic);
  }

  MatrixAlgorithms table;
  int measured = 0;

 private:
  RankExchange& exchange_;
  Logger log_;
};

class AgreedAlgorithms : public testing::Test {
 protected:
  test::Folder folder_;
  std::string path_ = folder_ / "tuning.yaml";
  AlgorithmSource measure_{path_, AlgorithmChoice::kMeasure};
};

TEST_F(AgreedAlgorithms, AreThoseOfRankZeroOnAllRanks) {
  test::ThreadRanks ranks(3);
  const auto errors = ranks.run([&](RankExchange& exchange) {
    Process process(exchange);
    process.prepare(measure_);
    EXPECT_EQ(process.table.find("a"), algorithm(10, 0.5));
    EXPECT_EQ(process.measured, exchange.rank() == 0 ? 2 : 0);
    const auto checksums = exchange.gather(process.table.used_checksum());
    for (const std::string& checksum : checksums) EXPECT_EQ(checksum, checksums[0]);
  });
  EXPECT_THAT(errors, Each(IsEmpty()));
}

TEST_F(AgreedAlgorithms, AreMeasuredOnceAndReadFromTheFileThen) {
  SingleRank alone;
  Process first(alone), second(alone);
  write_algorithms(path_, {{"a", algorithm(77, 0.25)}});
  first.prepare(measure_);
  EXPECT_EQ(first.measured, 1);
  EXPECT_EQ(first.table.find("a"), algorithm(77, 0.25));
  EXPECT_EQ(read_algorithms(path_).size(), 2U);
  second.prepare(measure_);
  EXPECT_EQ(second.measured, 0);
  EXPECT_EQ(second.table.table(), first.table.table());
}

TEST_F(AgreedAlgorithms, AreNotWrittenWhereNothingIsMeasured) {
  SingleRank alone;
  Process process(alone);
  process.prepare({path_});
  EXPECT_TRUE(process.table.find("a").has_value());
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(AgreedAlgorithms, DoNotNeedAFileThatCanBeWritten) {
  SingleRank alone;
  Process process(alone);
  std::ofstream(folder_ / "file") << "in the way of a folder";
  testing::internal::CaptureStderr();
  process.prepare({folder_ / "file/tuning.yaml", AlgorithmChoice::kMeasure});
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("are not kept for the next run"));
  EXPECT_EQ(process.measured, 2);
}

TEST_F(AgreedAlgorithms, EndAllRanksAlikeWhereRankZeroCannotReadTheNamedFile) {
  std::ofstream(path_) << "[[[";
  test::ThreadRanks ranks(2);
  const auto errors = ranks.run([&](RankExchange& exchange) {
    Process process(exchange);
    process.prepare(measure_);
  });
  EXPECT_THAT(errors, Each(HasSubstr("tuning.yaml")));
  EXPECT_EQ(errors[0], errors[1]);
}

}  // namespace
}  // namespace ingot
