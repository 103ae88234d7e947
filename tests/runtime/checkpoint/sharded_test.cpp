// State that is held in shards: each rank saves what it owns and loads exactly what it holds, bit
// for bit, whatever ranks and shards wrote the checkpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/checkpoint/pieces.hpp"
#include "runtime/checkpoint/rank_file.hpp"
#include "tests/runtime/checkpoint/fixture.hpp"

namespace ingot {
namespace {

using test::Folder;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

/// A number of a stated range, from a seeded engine, the same on every platform.
class Draw {
 public:
  explicit Draw(unsigned seed) : engine_(seed) {}
  int operator()(int least, int most) {
    return least + static_cast<int>(engine_() % static_cast<unsigned>(most - least + 1));
  }

 private:
  std::mt19937 engine_;
};

std::vector<ParameterSpec> random_tensors(Draw& draw) {
  std::vector<ParameterSpec> specs(static_cast<std::size_t>(draw(1, 8)));
  for (std::size_t p = 0; p < specs.size(); ++p) {
    specs[p].name = "tensor " + std::to_string(p);
    specs[p].shape = draw(0, 2) == 0 ? Shape{draw(1, 9000)} : Shape{draw(1, 70), draw(1, 70)};
  }
  return specs;
}

/// The tensors in any order, in buckets that can be cut into `shards` shards of whole chunks.
StoreLayout random_layout(std::vector<ParameterSpec> specs, int shards, Draw& draw) {
  StoreLayout layout;
  layout.parameters = std::move(specs);
  const auto tensors = layout.parameters.size();
  layout.offsets.resize(tensors);
  layout.bucket_of.resize(tensors);
  std::vector<std::size_t> order;
  for (std::size_t p = 0; p < tensors; ++p) {
    order.insert(order.begin() + draw(0, static_cast<int>(p)), p);
  }
  const auto up = [](std::int64_t value, std::int64_t unit) {
    return (value + unit - 1) / unit * unit;
  };
  Bucket bucket;
  for (std::size_t i = 0; i < tensors; ++i) {
    const std::size_t p = order[i];
    layout.offsets[p] = bucket.offset + bucket.count;
    layout.bucket_of[p] = static_cast<int>(layout.buckets.size());
    bucket.count = up(bucket.count + layout.parameters[p].shape.count(), kChunk);
    if (i + 1 == tensors || draw(0, 2) == 0) {
      bucket.count = up(bucket.count, shards * kChunk);
      layout.buckets.push_back(bucket);
      bucket = {bucket.offset + bucket.count, 0};
    }
  }
  layout.elements = bucket.offset;
  return layout;
}

/// How the ranks of a job hold one kind of state.
enum class Holding : std::uint8_t { kWhole, kSharded, kShardedInNodes, kUnevenly };

/// The job that saves or loads: its ranks, the order of its store, and how it holds each kind.
struct JobShape {
  int ranks = 1;
  int node = 1;  ///< ranks of a shard group; divides `ranks`
  StoreLayout layout;
  std::map<std::string, Holding> holdings;

  /// Ranges of a kind that `rank` holds and which replica of them it is.
  StateKind describe(const std::string& name, int rank) const {
    StateKind kind{name};
    switch (holdings.at(name)) {
      case Holding::kWhole:
        break;
      case Holding::kSharded:
        kind.held = ranges_of_shard(layout.buckets, rank, ranks);
        break;
      case Holding::kShardedInNodes:
        kind.held = ranges_of_shard(layout.buckets, rank % node, node);
        kind.replica = rank / node;
        kind.replicas = ranks / node;
        break;
      case Holding::kUnevenly: {
        // Rank r holds 1000 elements of every ranks * 1000, the last rank a tail of any length;
        // in its buffer later ranges come first, with a gap between.
        std::int64_t local = layout.elements + 7;
        for (std::int64_t flat = rank * 1000; flat < layout.elements; flat += ranks * 1000) {
          const std::int64_t count = std::min<std::int64_t>(1000, layout.elements - flat);
          local -= count;
          kind.held.push_back({flat, local, count});
        }
        if (kind.held.empty()) kind.held.push_back({0, 0, 0});
        break;
      }
    }
    return kind;
  }
};

JobShape random_job(const std::vector<ParameterSpec>& specs, Draw& draw) {
  JobShape job;
  job.ranks = draw(1, 8);
  do {
    job.node = draw(1, job.ranks);
  } while (job.ranks % job.node != 0);
  // Whole chunks for both the node's and the job's number of shards.
  job.layout = random_layout(specs, job.ranks, draw);
  const int same = draw(0, 5);
  for (const std::string& name : test::kAdamKinds) {
    job.holdings[name] = static_cast<Holding>(same < 4 ? same : draw(0, 3));
  }
  return job;
}

/// The value of an element: no two have the same bits.
float value_of(std::size_t kind, std::size_t tensor, std::int64_t element) {
  const auto bits = static_cast<std::uint32_t>((kind * 10 + tensor) * 9001 * 100 +
                                               static_cast<std::size_t>(element));
  float value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}
constexpr float kPadding = -12345;
constexpr float kUntouched = -54321;

/// Buffers of one rank.
struct RankState {
  RankState(const JobShape& job, int rank) : view_{job.layout, {}} {
    buffers_.resize(test::kAdamKinds.size());
    for (std::size_t k = 0; k < buffers_.size(); ++k) {
      StateKind kind = job.describe(test::kAdamKinds[k], rank);
      std::int64_t size = 0;
      for (const HeldRange& range : held_ranges(kind, job.layout)) {
        size = std::max(size, range.local + range.count);
      }
      buffers_[k].assign(static_cast<std::size_t>(size), kUntouched);
      kind.values = buffers_[k];
      view_.kinds.push_back(std::move(kind));
    }
  }

  /// What every held element should be: those of tensors their value, padding `padding`.
  template <typename Visit>
  void for_each_held(float padding, Visit visit) {
    const StoreLayout& layout = view_.layout;
    for (std::size_t k = 0; k < buffers_.size(); ++k) {
      std::vector<float> flat(static_cast<std::size_t>(layout.elements), padding);
      for (std::size_t p = 0; p < layout.parameters.size(); ++p) {
        for (std::int64_t e = 0; e < layout.parameters[p].shape.count(); ++e) {
          flat[static_cast<std::size_t>(layout.offsets[p] + e)] = value_of(k, p, e);
        }
      }
      for (const HeldRange& range : held_ranges(view_.kinds[k], layout)) {
        const std::span<const float> expected(flat.data() + range.flat,
                                              static_cast<std::size_t>(range.count));
        visit(
            expected,
            std::span(buffers_[k]).subspan(static_cast<std::size_t>(range.local), expected.size()));
      }
    }
  }

  void fill() {
    for_each_held(kPadding, [](std::span<const float> values, std::span<float> held) {
      std::ranges::copy(values, held.begin());
    });
  }

  /// Fails the test unless each held element of a tensor came back and padding was left alone.
  void expect_loaded() {
    for_each_held(kUntouched, [](std::span<const float> values, std::span<float> held) {
      ASSERT_EQ(std::memcmp(values.data(), held.data(), values.size_bytes()), 0);
    });
  }

  const StateView& view() const { return view_; }

 private:
  std::vector<std::vector<float>> buffers_;
  StateView view_;
};

std::vector<std::string> save_from(const JobShape& job, const std::string& folder) {
  return test::ThreadRanks(job.ranks).run([&](RankExchange& exchange) {
    RankState state(job, exchange.rank());
    state.fill();
    save_checkpoint({folder}, state.view(), test::training_at(1), exchange);
  });
}

TEST(ShardedState, IsLoadedBitForBitByAnyRanksFromAnyRanks) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Draw draw(seed);
  for (int round = 0; round < 25; ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    const std::vector<ParameterSpec> specs = random_tensors(draw);
    const JobShape from = random_job(specs, draw);
    const JobShape to = random_job(specs, draw);
    Folder folder;
    ASSERT_THAT(save_from(from, folder.path()), Each(""));
    const Checkpoint checkpoint = open_checkpoint(folder / "step-00000001");
    verify_checkpoint(checkpoint);  // every element of every kind once
    for (int rank = 0; rank < to.ranks; ++rank) {
      RankState state(to, rank);
      load_state(checkpoint, state.view());
      state.expect_loaded();
    }
    if (testing::Test::HasFailure()) return;
  }
}

/// A job of 4 ranks on 2 nodes with a store of one kind.
JobShape small_job(Holding holding) {
  Draw draw(1);
  JobShape job;
  job.ranks = 4;
  job.node = 2;
  ParameterSpec spec;
  spec.name = "a";
  spec.shape = {3 * kChunk + 11};
  job.layout = random_layout({spec}, job.ranks, draw);
  for (const std::string& name : test::kAdamKinds) job.holdings[name] = holding;
  return job;
}

std::vector<std::int64_t> saved_elements(const JobShape& job) {
  std::vector<std::int64_t> counts;
  for (int rank = 0; rank < job.ranks; ++rank) {
    counts.push_back(element_count(without_places(
        pieces_to_save(job.layout, job.describe("weights", rank), rank, job.ranks))));
  }
  return counts;
}

TEST(ShardedState, IsSavedByItsOwnerAndReplicasShareTheWork) {
  EXPECT_THAT(saved_elements(small_job(Holding::kSharded)), ElementsAre(1024, 1024, 1024, 11));
  // Each node holds 2048 and 1035 elements; its ranks save half of what their peers hold too.
  EXPECT_THAT(saved_elements(small_job(Holding::kShardedInNodes)),
              ElementsAre(1024, 517, 1024, 518));
  EXPECT_THAT(saved_elements(small_job(Holding::kWhole)), ElementsAre(770, 771, 771, 771));
}

TEST(ShardedState, OfOneRankIsLoadedWithoutReadingTheOthersFiles) {
  Folder folder;
  const JobShape job = small_job(Holding::kSharded);
  ASSERT_THAT(save_from(job, folder.path()), Each(""));
  const Checkpoint checkpoint = open_checkpoint(folder / "step-00000001");
  // A flipped bit in the values of rank 2 hurts that rank alone.
  const std::string path = folder / "step-00000001/rank-00002.h5";
  std::string text = test::read_all(path);
  text.back() = static_cast<char>(text.back() ^ 1);
  test::write_all(path, text);
  for (const int rank : {0, 1, 3}) {
    RankState state(job, rank);
    load_state(checkpoint, state.view());
    state.expect_loaded();
  }
  try {
    RankState state(job, 2);
    load_state(checkpoint, state.view());
    FAIL() << "a damaged shard was loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kCheckpoint);
    EXPECT_THAT(error.what(), HasSubstr("rank-00002.h5"));
  }
}

TEST(ShardedState, ThatRanksDoNotHoldTogetherIsNotSaved) {
  Folder folder;
  const JobShape job = small_job(Holding::kSharded);
  const auto errors = test::ThreadRanks(job.ranks).run([&](RankExchange& exchange) {
    // Moment 1 of ranks 2 and 3 is held by nobody.
    RankState state(job, exchange.rank());
    StateView view = state.view();
    if (exchange.rank() > 1) view.kinds[1].held = {{0, 0, 0}};
    save_checkpoint({folder.path()}, view, test::training_at(1), exchange);
  });
  EXPECT_THAT(errors, Each(HasSubstr("ranks saved 2048 elements of 'moment 1' together, expected "
                                     "3083")));
  EXPECT_TRUE(test::names_below(folder.path()).empty());
}

}  // namespace
}  // namespace ingot
