#include "runtime/data/token_loader.hpp"

#include <gmock/gmock.h>

#include <numeric>
#include <set>

#include "runtime/data/prefetcher.hpp"
#include "tests/runtime/data/temporary_folder.hpp"

namespace ingot {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

/// A set whose token at offset i is i, so that a batch shows where it was read.
std::shared_ptr<const TokenDataset> counting_set(const TemporaryFolder& folder, std::int64_t size,
                                                 std::vector<std::uint64_t> documents = {0},
                                                 std::int64_t vocabulary = 60000,
                                                 const std::string& name = "set.h5") {
  std::vector<std::uint32_t> tokens(static_cast<std::size_t>(size));
  std::iota(tokens.begin(), tokens.end(), 0U);
  TokenHeader header;
  header.vocabulary = vocabulary;
  write_token_dataset(folder.file(name), header, tokens, documents);
  return std::make_shared<TokenDataset>(TokenDataset::open(folder.file(name)));
}

TokenLoaderOptions options_of(std::int64_t context, SampleOrder order) {
  TokenLoaderOptions options;
  options.context = context;
  options.order = order;
  return options;
}

TEST(TokenLoader, GivesEachTokenItsSuccessorAsTarget) {
  const TemporaryFolder folder;
  const TokenLoader loader({{counting_set(folder, 1000)}}, options_of(8, SampleOrder::kShuffled));
  auto memory = loader.make_memory(3);
  TokenBatch& batch = memory.batch();
  for (std::int64_t first = 0; first < 1000; first += 3) {
    loader.fill(batch, first, 3);
    EXPECT_EQ(batch.counted, 24);
    for (std::size_t i = 0; i < 24; ++i) {
      EXPECT_EQ(batch.targets[i], batch.tokens[i] + 1);
      EXPECT_EQ(batch.tokens[i], batch.tokens[i / 8 * 8] + static_cast<int>(i % 8));
      EXPECT_EQ(batch.positions[i], static_cast<int>(i % 8));
      EXPECT_EQ(batch.documents[i], 0);
    }
    EXPECT_THAT(batch.samples, ElementsAre(first, first + 1, first + 2));
  }
}

TEST(TokenLoader, ReadsEachWindowOnceInAnEpochAndMovesThemInTheNext) {
  const TemporaryFolder folder;
  const TokenLoader loader({{counting_set(folder, 1000)}}, options_of(8, SampleOrder::kShuffled));
  const std::int64_t count = loader.samples_per_epoch();
  EXPECT_EQ(count, 999 / 8 - 1);
  auto memory = loader.make_memory(1);
  std::set<std::int32_t> offsets;
  for (std::int64_t epoch = 0; epoch < 10; ++epoch) {
    std::set<std::int32_t> starts;
    for (std::int64_t i = 0; i < count; ++i) {
      loader.fill(memory.batch(), epoch * count + i, 1);
      starts.insert(memory.batch().tokens[0]);
    }
    EXPECT_EQ(std::ssize(starts), count);
    EXPECT_EQ(*starts.rbegin() - *starts.begin(), 8 * (count - 1)) << "windows touch each other";
    offsets.insert(*starts.begin());
  }
  EXPECT_GT(offsets.size(), 3U);
}

TEST(TokenLoader, EvaluatesEveryTokenOnceAndPadsTheRest) {
  const TemporaryFolder folder;
  for (const std::int64_t size : {2, 8, 9, 10, 30}) {
    const TokenLoader loader({{counting_set(folder, size)}},
                             options_of(8, SampleOrder::kSequential));
    auto memory = loader.make_memory(2);
    TokenBatch& batch = memory.batch();
    std::multiset<std::int32_t> targets;
    std::int64_t counted = 0;
    for (std::int64_t first = 0; first < 6; first += 2) {
      loader.fill(batch, first, 2);
      counted += batch.counted;
      for (const std::int32_t target : batch.targets) {
        if (target >= 0) targets.insert(target);
      }
      for (const std::int32_t token : batch.tokens) EXPECT_GE(token, 0);
    }
    EXPECT_EQ(counted, size - 1);
    ASSERT_EQ(std::ssize(targets), size - 1);
    std::int32_t expected = 1;
    for (const std::int32_t target : targets) EXPECT_EQ(target, expected++);
  }
}

TEST(TokenLoader, PadsRowsThatAreNotAskedFor) {
  const TemporaryFolder folder;
  const TokenLoader loader({{counting_set(folder, 100)}}, options_of(4, SampleOrder::kShuffled));
  auto memory = loader.make_memory(3);
  loader.fill(memory.batch(), 0, 1);
  EXPECT_EQ(memory.batch().counted, 4);
  EXPECT_THAT(memory.batch().targets.subspan(4), Each(-1));
}

TEST(TokenLoader, FollowsDocumentsWhereAsked) {
  const TemporaryFolder folder;
  const auto set = counting_set(folder, 13, {0, 3, 4, 10});
  auto options = options_of(6, SampleOrder::kSequential);
  options.document_mask = true;
  options.reset_positions = true;
  const TokenLoader loader({{set}}, options);
  auto memory = loader.make_memory(2);
  TokenBatch& batch = memory.batch();
  loader.fill(batch, 0, 2);
  EXPECT_THAT(batch.tokens, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  EXPECT_THAT(batch.documents, ElementsAre(0, 0, 0, 3, 4, 4, 0, 0, 0, 0, 4, 4));
  EXPECT_THAT(batch.positions, ElementsAre(0, 1, 2, 0, 0, 1, 0, 1, 2, 3, 0, 1));
  // The last token of a document has no successor inside it.
  EXPECT_THAT(batch.targets, ElementsAre(1, 2, -1, -1, 5, 6, 7, 8, 9, -1, 11, 12));
  EXPECT_EQ(batch.counted, 9);

  options.document_mask = false;
  const TokenLoader positions_only({{set}}, options);
  positions_only.fill(batch, 0, 2);
  EXPECT_THAT(batch.documents, Each(0));
  EXPECT_THAT(batch.positions, ElementsAre(0, 1, 2, 0, 0, 1, 0, 1, 2, 3, 0, 1));
  EXPECT_EQ(batch.counted, 12);
}

TEST(TokenLoader, MixesSetsByWeight) {
  const TemporaryFolder folder;
  const auto first = counting_set(folder, 500, {0}, 60000, "a.h5");
  std::vector<std::uint32_t> constant(200, 59999);
  TokenHeader header;
  header.vocabulary = 60000;
  write_token_dataset(folder.file("b.h5"), header, constant, std::vector<std::uint64_t>{0});
  const auto second = std::make_shared<TokenDataset>(TokenDataset::open(folder.file("b.h5")));
  const TokenLoader loader({{first, 3.0}, {second, 1.0}}, options_of(4, SampleOrder::kShuffled));
  auto memory = loader.make_memory(400);
  loader.fill(memory.batch(), 12345, 400);
  EXPECT_EQ(std::ranges::count(memory.batch().tokens, 59999), 4 * 100);
}

TEST(TokenLoader, RefusesSetsThatDoNotFit) {
  const TemporaryFolder folder;
  const auto small = counting_set(folder, 8);
  const auto options = options_of(8, SampleOrder::kShuffled);
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { TokenLoader({{small}}, options); }),
              HasSubstr("holds 8 tokens, expected at least 9"));
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { TokenLoader({}, options); }),
              HasSubstr("data.train"));
  const auto other = counting_set(folder, 100, {0}, 50000, "other.h5");
  const auto large = counting_set(folder, 100, {0}, 60000, "large.h5");
  EXPECT_THAT(error_of(ExitCode::kBadData,
                       [&] {
                         TokenLoader({{other}, {large}}, options);
                       }),
              HasSubstr("vocabulary of 60000 tokens"));
  EXPECT_THAT(error_of(ExitCode::kConfiguration,
                       [&] {
                         TokenLoader({{large, -1.0}}, options);
                       }),
              HasSubstr("weight -1"));
}

TEST(Prefetcher, GivesWhatADirectFillGives) {
  const TemporaryFolder folder;
  const TokenLoader loader({{counting_set(folder, 5000, {0, 100, 101, 3000})}}, [] {
    auto options = options_of(16, SampleOrder::kShuffled);
    options.document_mask = true;
    return options;
  }());
  for (const std::int64_t slots : {2, 3, 8}) {
    for (std::int64_t rank = 0; rank < 3; ++rank) {
      const SampleAssignment assignment{rank, 3, 2, 4};
      Prefetcher<TokenLoader> prefetcher(loader, assignment, 5, slots);
      auto memory = loader.make_memory(2);
      for (std::int64_t step = 5; step < 25; ++step) {
        for (std::int64_t part = 0; part < 4; ++part) {
          loader.fill(memory.batch(), assignment.first_sample(step, part), 2);
          const TokenBatch& batch = prefetcher.next();
          EXPECT_TRUE(std::ranges::equal(batch.tokens, memory.batch().tokens));
          EXPECT_TRUE(std::ranges::equal(batch.targets, memory.batch().targets));
          EXPECT_TRUE(std::ranges::equal(batch.documents, memory.batch().documents));
          EXPECT_TRUE(std::ranges::equal(batch.samples, memory.batch().samples));
          EXPECT_EQ(batch.counted, memory.batch().counted);
        }
      }
      EXPECT_GE(prefetcher.waited_seconds(), 0);
    }
  }
}

/// Fails at one sample, as a loader with a bug or a lost disk would.
struct FailingLoader {
  using Batch = TokenBatch;
  using Memory = TokenBatchMemory;
  Memory make_memory(std::int64_t rows) const { return {rows, 1}; }
  void fill(TokenBatch& batch, std::int64_t first, std::int64_t) const {
    if (first == 4) fail(ExitCode::kBadData, "sample {} is broken", first);
    batch.samples[0] = first;
  }
};

TEST(Prefetcher, RethrowsAnErrorWhenItsBatchIsDue) {
  const FailingLoader loader;
  Prefetcher<FailingLoader> prefetcher(loader, {}, 0, 2);
  for (std::int64_t i = 0; i < 4; ++i) EXPECT_EQ(prefetcher.next().samples[0], i);
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { prefetcher.next(); }),
              HasSubstr("sample 4 is broken"));
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { prefetcher.next(); }),
              HasSubstr("sample 4 is broken"));
}

TEST(Prefetcher, StopsWhileItsRingIsFull) {
  const FailingLoader loader;
  for (int i = 0; i < 50; ++i) Prefetcher<FailingLoader> unused(loader, {}, 0, 3);
}

}  // namespace
}  // namespace ingot
