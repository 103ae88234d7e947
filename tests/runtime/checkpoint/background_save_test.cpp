// Saving while training goes on: what is saved is the state at the step's end, whatever happens to
// it afterwards; a save that fails or dies leaves what was there.
#include "runtime/checkpoint/background_save.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>

#include "runtime/checkpoint/files.hpp"
#include "tests/far_device.hpp"
#include "tests/runtime/checkpoint/fixture.hpp"

namespace ingot {
namespace {

using test::Folder;
using test::State;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Stands for the all_reduce of votes that every training step makes.
bool all_ready(const BackgroundSave& save, RankExchange& exchange) {
  std::string votes = "all";
  for (const std::string& vote : exchange.gather(save.ready() ? "ready" : "busy")) {
    if (vote != "ready") votes = "some";
  }
  return exchange.broadcast(votes) == "all";
}

/// Steps until the save is complete, the state of which changes in every step.
std::optional<SaveResult> train_on(BackgroundSave& save, State& state, RankExchange& exchange) {
  save.copied().synchronize();
  for (unsigned step = 0; save.busy(); ++step) {
    state.fill(1000 + step);
    if (!all_ready(save, exchange)) continue;
    if (auto result = save.advance()) return result;
  }
  return {};
}

/// A replica on each rank, so that ranks change their states at times of their own.
State replica() {
  State state(test::small_layout(), test::kAdamKinds);
  state.fill(7);
  return state;
}

void expect_saved(const std::string& path) {
  State expected = replica();
  State loaded(test::small_layout(), test::kAdamKinds);
  load_state(open_checkpoint(path), loaded.view());
  EXPECT_EQ(loaded.values, expected.values);
}

class BackgroundSaves : public testing::TestWithParam<int> {};

TEST_P(BackgroundSaves, HoldTheStateOfTheStepAtWhichTheyBegan) {
  Folder folder;
  EXPECT_THAT(test::ThreadRanks(GetParam()).run([&](RankExchange& exchange) {
    State state = replica();
    const auto device = test::make_cpu_device(1);
    BackgroundSave save({folder.path()}, *device, state.view(), exchange);
    for (const std::int64_t step : {1, 2, 3}) {
      state.fill(7);
      save.begin(state.view(), test::training_at(step));
      const auto result = train_on(save, state, exchange);
      ASSERT_TRUE(result.has_value());
      EXPECT_EQ(result->step, step);
      EXPECT_EQ(result->path, folder / step_name(step));
      EXPECT_GE(result->seconds, result->blocked_seconds);
      EXPECT_FALSE(save.busy());
      EXPECT_FALSE(save.finish().has_value());
    }
  }),
              Each(""));
  EXPECT_THAT(list_steps(folder.path()), ElementsAre(3, 2, 1));
  EXPECT_THAT(list_leftovers(folder.path()), IsEmpty());
  for (const std::int64_t step : {1, 2, 3}) expect_saved(folder / step_name(step));
}

TEST_P(BackgroundSaves, WriteTheBytesOfASaveAtOnce) {
  Folder at_once;
  Folder background;
  State state = replica();
  test::save_from(GetParam(), {at_once.path()}, state, test::training_at(4));
  test::ThreadRanks(GetParam()).run([&](RankExchange& exchange) {
    const auto device = test::make_cpu_device(1);
    BackgroundSave save({background.path()}, *device, state.view(), exchange);
    save.begin(state.view(), test::training_at(4));
    save.finish();
  });
  const auto names = test::names_below(at_once.path());
  EXPECT_EQ(test::names_below(background.path()), names);
  for (const std::string& name : names) {
    EXPECT_EQ(test::read_all(background / name), test::read_all(at_once / name)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(AnyNumberOfRanks, BackgroundSaves, testing::Values(1, 2, 5));

TEST(BackgroundSaveBuffer, IsAsLargeAsWasSaidBeforeItWasAllocated) {
  const StoreLayout layout = test::small_layout();
  std::int64_t total = 0;
  for (int rank = 0; rank < 3; ++rank) {
    StateView shape{layout, {}};
    for (const std::string& kind : test::kAdamKinds) shape.kinds.push_back({kind});
    const auto device = test::make_cpu_device(1);
    const std::int64_t bytes = snapshot_bytes(shape, rank, 3);
    EXPECT_EQ(StateSnapshot(*device, shape, rank, 3).bytes(), bytes);
    total += bytes;
  }
  EXPECT_EQ(total, 3 * 4 * layout.parameter_count());
}

TEST(FailedBackgroundSave, IsTheSameErrorOnEveryRankAndTheNextOneSucceeds) {
  Folder folder;
  EXPECT_THAT(test::ThreadRanks(3).run([&](RankExchange& exchange) {
    State state = replica();
    const auto device = test::make_cpu_device(1);
    bool full = false;
    SaveOptions options{folder.path()};
    options.on_stage = [&](SaveStage stage) {
      // Rank 1's disk is full, then rank 0's when it comes to the manifest.
      const bool fails =
          stage == (exchange.rank() == 1 ? SaveStage::kWriting : SaveStage::kFilesWritten);
      if (full && fails) fail(ExitCode::kCannotWrite, "the disk is full");
    };
    BackgroundSave save(options, *device, state.view(), exchange);
    save.begin(state.view(), test::training_at(1));
    save.finish();
    full = exchange.rank() == 1;
    for (const std::int64_t step : {2, 3}) {
      state.fill(7);
      save.begin(state.view(), test::training_at(step));
      try {
        train_on(save, state, exchange);
        ADD_FAILURE() << "a save without room succeeded";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::kCannotWrite);
        EXPECT_THAT(error.what(),
                    AllOf(HasSubstr("could not save step"), HasSubstr("the disk is full")));
      }
      EXPECT_FALSE(save.busy());
      EXPECT_EQ(find_latest(folder.path(), nullptr)->training().step, 1);
      // Before rank 0 begins again: it makes the folders.
      if (exchange.rank() == 0) {
        EXPECT_THAT(list_leftovers(folder.path()), IsEmpty());
      }
      full = exchange.rank() == 0;
    }
    full = false;
    state.fill(7);
    save.begin(state.view(), test::training_at(4));
    save.finish();
  }),
              Each(""));
  EXPECT_THAT(list_steps(folder.path()), ElementsAre(4, 1));
  expect_saved(folder / step_name(4));
}

TEST(FailedBackgroundSave, WithoutAFolderIsNoticedWhenItBegins) {
  Folder folder;
  EXPECT_THAT(test::ThreadRanks(2).run([&](RankExchange& exchange) {
    State state = replica();
    const auto device = test::make_cpu_device(1);
    if (exchange.rank() == 0) test::write_all(folder / "checkpoints", "not a folder");
    BackgroundSave save({folder / "checkpoints"}, *device, state.view(), exchange);
    save.begin(state.view(), test::training_at(1));
  }),
              Each(HasSubstr("cannot create the folder")));
}

TEST(AbandonedBackgroundSave, LeavesWhatWasThereAndAFolderThatTheNextStartRemoves) {
  Folder folder;
  SingleRank exchange;
  State state = replica();
  const auto device = test::make_cpu_device(1);
  {
    SaveOptions options{folder.path()};
    BackgroundSave save(options, *device, state.view(), exchange);
    save.begin(state.view(), test::training_at(1));
    save.finish();
    save.begin(state.view(), test::training_at(2));
    // An error somewhere else ends the run here.
  }
  EXPECT_THAT(list_steps(folder.path()), ElementsAre(1));
  EXPECT_THAT(list_leftovers(folder.path()), testing::SizeIs(1));
  EXPECT_THAT(remove_leftovers(folder.path()), IsEmpty());
  EXPECT_THAT(test::names_below(folder.path()), testing::Not(testing::Contains(HasSubstr("tmp"))));
  expect_saved(folder / step_name(1));
}

/// Runs a save of step 2 in a process of its own that is killed when the stage is reached for the
/// `count`th time. False where it never was.
bool killed_at(SaveStage stage, int count, const std::string& folder) {
  const pid_t child = fork();
  if (child == 0) {
    SingleRank exchange;
    State state = replica();
    const auto device = test::make_cpu_device(1);
    SaveOptions options{folder};
    options.on_stage = [&](SaveStage reached) {
      if (reached == stage && --count == 0) kill(getpid(), SIGKILL);
    };
    BackgroundSave save(options, *device, state.view(), exchange);
    save.begin(state.view(), test::training_at(2));
    save.finish();
    _exit(0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  if (WIFEXITED(status)) {
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

TEST(KilledBackgroundSave, LeavesThePreviousCheckpointAtEveryPointBeforeTheRename) {
  for (const SaveStage stage :
       {SaveStage::kWriting, SaveStage::kFilesWritten, SaveStage::kManifestWritten}) {
    int points = 0;
    for (bool more = true; more;) {
      Folder folder;
      State state = replica();
      test::save_from(1, {folder.path()}, state, test::training_at(1));
      more = killed_at(stage, points + 1, folder.path());
      if (more) {
        ++points;
        EXPECT_EQ(find_latest(folder.path(), nullptr)->training().step, 1);
        expect_saved(folder / step_name(1));
        EXPECT_THAT(remove_leftovers(folder.path()), IsEmpty());
        EXPECT_THAT(list_leftovers(folder.path()), IsEmpty());
      }
    }
    // Four tensors of three kinds and the table of pieces are 13 parts.
    EXPECT_EQ(points, stage == SaveStage::kWriting ? 13 : 1);
  }
  Folder folder;
  EXPECT_TRUE(killed_at(SaveStage::kRenamed, 1, folder.path()));
  expect_saved(folder / step_name(2));
}

}  // namespace
}  // namespace ingot
