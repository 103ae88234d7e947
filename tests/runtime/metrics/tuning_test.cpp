#include "runtime/metrics/tuning.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace ingot {
namespace {

using testing::ElementsAre;

class Tuning : public testing::Test {
 protected:
  Tuning() {
    std::string name = (std::filesystem::temp_directory_path() / "ingot-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    path_ = folder_ + "/cache/ingot/tuning.yaml";
  }
  ~Tuning() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
  std::string path_;
};

MachineFigures figures_of(int threads, double peak) {
  MachineFigures figures = this_machine(threads);
  figures.matrix_f32 = peak;
  figures.copy = 1.0 / 3;
  figures.ops = {{"linear", "f32", "[4, 256]", 1.25e-5, 0.875, "matrix"},
                 {"gelu", "bf16", "[4]", 1e-7, 1.5, "copy"}};
  return figures;
}

TEST_F(Tuning, ReadsBackWhatWasWritten) {
  write_tuning(path_, figures_of(2, 2.1e11));
  EXPECT_THAT(read_tuning(path_), ElementsAre(figures_of(2, 2.1e11)));
  EXPECT_EQ(matrix_peak(path_, DType::kF32, this_machine(2)), 2.1e11);
}

TEST_F(Tuning, KeepsOtherMachinesAndReplacesTheSameOne) {
  MachineFigures other = figures_of(1, 5e9);
  other.processor = "Another: \"processor\" #7";
  write_tuning(path_, other);
  write_tuning(path_, figures_of(1, 1e9));
  write_tuning(path_, figures_of(1, 2e9));
  EXPECT_THAT(read_tuning(path_), ElementsAre(other, figures_of(1, 2e9)));
}

TEST_F(Tuning, KeepsAlgorithmsBesideFigures) {
  MatrixAlgorithm first, second;
  first.bytes = {1, 0, 0, 0, 0, 0, 0, ~std::uint64_t{0}};
  first.seconds = 1.25e-5;
  second.bytes[3] = 7;
  const std::string a = "GPU: A \"x\", cuBLASLt 130100: 8 x 16 x 24 TN bf16 to f32, bias, gelu";
  write_algorithms(path_, {{a, first}, {"b", first}});
  write_tuning(path_, figures_of(2, 2.1e11));
  write_algorithms(path_, {{"b", second}});
  EXPECT_EQ(read_algorithms(path_), (MatrixAlgorithms::Table{{a, first}, {"b", second}}));
  EXPECT_THAT(read_tuning(path_), ElementsAre(figures_of(2, 2.1e11)));
  EXPECT_TRUE(read_algorithms(folder_ + "/none.yaml").empty());
}

TEST_F(Tuning, KeepsCollectivesBesideFigures) {
  const CollectiveFigure slow = {"mpi", 4, 2, true, "all_reduce", "f32", 1024, 1.0 / 3};
  CollectiveFigure fast = slow;
  fast.seconds = 1e-6;
  CollectiveFigure other = slow;
  other.shared = false;
  MachineFigures figures = this_machine(2);
  figures.collectives = {slow, other};
  write_collectives(path_, figures);  // of a machine that the file does not know
  EXPECT_THAT(measured_collectives(path_, this_machine(2)), ElementsAre(slow, other));
  write_tuning(path_, figures_of(2, 2.1e11));
  figures.collectives = {fast};
  write_collectives(path_, figures);
  EXPECT_THAT(measured_collectives(path_, this_machine(2)), ElementsAre(other, fast));
  EXPECT_TRUE(measured_collectives(path_, this_machine(3)).empty());
  EXPECT_EQ(matrix_peak(path_, DType::kF32, this_machine(2)), 2.1e11);
  EXPECT_THAT(read_tuning(path_).front().ops, ElementsAre(testing::_, testing::_));
}

TEST_F(Tuning, RefusesWhatIsNoAlgorithm) {
  const std::string path = folder_ + "/tuning.yaml";
  const std::string digits(128, '0');
  const auto expect_refused = [&](const std::string& row) {
    std::ofstream(path) << "version: 1\nalgorithms: [{" << row << "}]\n";
    EXPECT_THROW(read_algorithms(path), Error) << row;
    EXPECT_THROW(write_algorithms(path, {}), Error) << row;
  };
  expect_refused("bytes: '" + digits + "'");
  expect_refused("product: a");
  expect_refused("product: a, bytes: '" + digits + "0'");
  expect_refused("product: a, bytes: '" + digits.substr(1) + "'");
  expect_refused("product: a, bytes: '" + digits.substr(1) + "g'");
  expect_refused("product: '', bytes: '" + digits + "'");
  expect_refused("product: \"a\\nb\", bytes: '" + digits + "'");
  expect_refused("product: a, seconds: -1, bytes: '" + digits + "'");
  std::ofstream(path) << "version: 1\nalgorithms: [{product: a, bytes: '" << digits << "'}]\n";
  EXPECT_EQ(read_algorithms(path).size(), 1U);
}

TEST_F(Tuning, KnowsNothingOfOtherThreadsOrUnmeasuredTypes) {
  write_tuning(path_, figures_of(2, 1e9));
  EXPECT_EQ(matrix_peak(path_, DType::kF32, this_machine(1)), std::nullopt);
  EXPECT_EQ(matrix_peak(path_, DType::kBf16, this_machine(2)), std::nullopt);
  EXPECT_EQ(matrix_peak(folder_ + "/none.yaml", DType::kF32, this_machine(2)), std::nullopt);
}

TEST_F(Tuning, RefusesADamagedFileAndDoesNotOverwriteIt) {
  const std::string path = folder_ + "/tuning.yaml";
  for (const char* text :
       {"version: 2\n", "version: 1\nmachines: 7\n", "machines: []\n", "[[[[", "version: 1\nx: 1\n",
        "version: 1\nmachines: [{processor: a, isa: b, threads: 0}]\n",
        "version: 1\nops: [{machine: 0, op: gelu}]\n",
        "version: 1\nmachines: [{processor: a, isa: b, threads: 1, copy: -1}]\n"}) {
    std::ofstream(path) << text;
    EXPECT_THROW(read_tuning(path), Error) << text;
    EXPECT_THROW(write_tuning(path, figures_of(1, 1)), Error) << text;
    Config config;
    config.tuning = path;
    EXPECT_THROW(measured_matrix_peak(config, DType::kF32, this_machine(1)), Error) << text;
  }
}

TEST_F(Tuning, TakesADamagedCacheForNone) {
  std::filesystem::create_directories(folder_ + "/ingot");
  std::ofstream(folder_ + "/ingot/tuning.yaml") << "[[[";
  const char* before = std::getenv("XDG_CACHE_HOME");
  const std::string saved = before != nullptr ? before : "";
  setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
  EXPECT_EQ(tuning_path(""), folder_ + "/ingot/tuning.yaml");
  EXPECT_EQ(measured_matrix_peak(Config{}, DType::kF32, this_machine(1)), 0);
  if (before != nullptr) {
    setenv("XDG_CACHE_HOME", saved.c_str(), 1);
  } else {
    unsetenv("XDG_CACHE_HOME");
  }
}

}  // namespace
}  // namespace ingot
