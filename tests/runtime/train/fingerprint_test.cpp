// The numerics fingerprint: what it names, and that ranks agree on it.
#include "runtime/train/fingerprint.hpp"

#include <gmock/gmock.h>

#include <utility>

namespace ingot {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Rank 0 of a job whose other ranks have given texts.
class Texts final : public RankExchange {
 public:
  explicit Texts(std::vector<std::string> others) : others_(std::move(others)) {}
  int rank() const override { return 0; }
  int size() const override { return 1 + static_cast<int>(others_.size()); }
  std::vector<std::string> gather(const std::string& text) override {
    std::vector<std::string> all = {text};
    all.insert(all.end(), others_.begin(), others_.end());
    return all;
  }
  std::string broadcast(const std::string& text) override { return text; }

 private:
  std::vector<std::string> others_;
};

std::string fingerprint(const std::string& reduction, int ranks, int threads) {
  Config config;
  config.batch.micro = 3;
  config.parallel.reduction = reduction;
  Environment environment;
  environment.isa = "AVX2";
  environment.transport = "shm";
  environment.ranks = ranks;
  environment.threads = threads;
  return numerics_fingerprint(config, environment, "");
}

TEST(Fingerprint, NamesMachineLibraryAndMicroBatch) {
  EXPECT_THAT(fingerprint("ordered", 2, 1), HasSubstr("AVX2; oneDNN "));
  EXPECT_THAT(fingerprint("ordered", 2, 1), HasSubstr("micro batch 3; ordered reduction"));
  EXPECT_THAT(numerics_fingerprint({}, {}, "abc"), HasSubstr("algorithms abc"));
}

TEST(Fingerprint, DependsOnRanksAndThreadsWhereSumsDo) {
  EXPECT_EQ(fingerprint("ordered", 2, 1), fingerprint("ordered", 8, 3));
  EXPECT_NE(fingerprint("fast", 2, 1), fingerprint("fast", 2, 3));
  EXPECT_NE(fingerprint("fast", 2, 1), fingerprint("fast", 3, 1));
  EXPECT_THAT(fingerprint("fast", 2, 1), HasSubstr("2 ranks of 1 threads over shm"));
  EXPECT_THAT(fingerprint("fast", 1, 1), Not(HasSubstr("shm")));
}

TEST(Fingerprint, DependsOnWhatIsExchangedDirectlyWhereSumsDo) {
  Config config;
  Environment environment;
  environment.transport = "nccl 2.28.3";
  environment.ranks = 2;
  environment.direct = "512KiB of an all_reduce";
  const std::string direct = numerics_fingerprint(config, environment, "");
  EXPECT_THAT(direct, HasSubstr("over nccl 2.28.3, direct up to 512KiB of an all_reduce"));
  environment.direct.clear();
  EXPECT_THAT(numerics_fingerprint(config, environment, ""), Not(HasSubstr("direct")));
  config.parallel.reduction = "ordered";
  const std::string ordered = numerics_fingerprint(config, environment, "");
  environment.direct = "512KiB of an all_reduce";
  EXPECT_EQ(numerics_fingerprint(config, environment, ""), ordered);
}

TEST(Fingerprint, IsThatOfRank0) {
  Texts equal({"a", "a"});
  EXPECT_EQ(agreed_fingerprint("a", true, equal), "a");
  Texts differing({"a", "b"});
  EXPECT_EQ(agreed_fingerprint("a", false, differing), "a");
  try {
    agreed_fingerprint("a", true, differing);
    FAIL() << "another fingerprint was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kEnvironment);
    EXPECT_THAT(error.what(), HasSubstr("rank 2 computes with 'b' and rank 0 with 'a'"));
  }
}

}  // namespace
}  // namespace ingot
