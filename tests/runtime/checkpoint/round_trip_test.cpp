// What is saved by some ranks is loaded, bit for bit, by any others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "runtime/checkpoint/pieces.hpp"
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

class RoundTrip : public testing::TestWithParam<int> {};

TEST_P(RoundTrip, BringsBackEveryBitInALayoutOfAnotherOrder) {
  const int ranks = GetParam();
  Folder folder;
  State saved(test::small_layout(), test::kAdamKinds);
  saved.fill(7);
  EXPECT_THAT(test::save_from(ranks, {folder / "checkpoints"}, saved, test::training_at(12)),
              Each(""));

  const Checkpoint checkpoint = resolve_checkpoint(folder.path(), nullptr);
  EXPECT_EQ(checkpoint.path, folder / "checkpoints/step-00000012");
  EXPECT_EQ(checkpoint.manifest.rank_files.size(), static_cast<std::size_t>(ranks));
  State loaded(test::small_layout(true), test::kAdamKinds);
  load_state(checkpoint, loaded.view());
  for (const std::string& kind : test::kAdamKinds) {
    for (std::size_t p = 0; p < saved.layout.parameters.size(); ++p) {
      const auto& spec = saved.layout.parameters[p];
      const auto other = static_cast<std::size_t>(loaded.layout.find(spec.name));
      EXPECT_EQ(std::memcmp(saved.values[kind].data() + saved.layout.offsets[p],
                            loaded.values[kind].data() + loaded.layout.offsets[other],
                            static_cast<std::size_t>(spec.shape.count()) * sizeof(float)),
                0)
          << kind << " of " << spec.name;
    }
  }
}

// 5000 ranks would write empty files: more ranks than elements is exercised by the layout below.
INSTANTIATE_TEST_SUITE_P(AnyNumberOfRanks, RoundTrip, testing::Values(1, 2, 3, 7));

TEST(RoundTripOfFewElements, WorksWhereSomeRanksHaveNothingToWrite) {
  Folder folder;
  const StoreLayout layout = test::layout_of({{"a", {2}}, {"b", {1}}});
  State saved(layout, {"weights"});
  saved.fill(1);
  EXPECT_THAT(test::save_from(5, {folder.path()}, saved, test::training_at(1)), Each(""));
  State loaded(layout, {"weights"});
  load_state(resolve_checkpoint(folder.path(), nullptr), loaded.view());
  EXPECT_EQ(std::memcmp(saved.values["weights"].data(), loaded.values["weights"].data(),
                        saved.values["weights"].size() * sizeof(float)),
            0);
}

TEST(RoundTripOfTraining, BringsBackNumbersAndTexts) {
  Folder folder;
  State state(test::small_layout(), {"weights"});
  TrainingState training = test::training_at(3);
  training.columns = "{\"label\": \"fraud\"}";
  training.tokenizer = "{\"x\":\"" + std::string(200000, 'y') + "\"}";
  test::save_from(2, {folder.path()}, state, training);
  const TrainingState loaded = resolve_checkpoint(folder.path(), nullptr).training();
  EXPECT_THAT(differences(loaded, training), IsEmpty());
  EXPECT_EQ(loaded.step, 3);
  EXPECT_EQ(loaded.adam_step, 2);
  EXPECT_EQ(loaded.samples, training.samples);
  EXPECT_EQ(loaded.tokens, training.tokens);
  EXPECT_EQ(loaded.loss, training.loss);
  EXPECT_EQ(loaded.model_data.vocabulary, 37);
  EXPECT_EQ(loaded.config, training.config);
  EXPECT_EQ(loaded.tokenizer, training.tokenizer);
  EXPECT_EQ(loaded.columns, training.columns);
}

TEST(Load, TakesTheWeightsAloneFromAFullCheckpoint) {
  Folder folder;
  State saved(test::small_layout(), test::kAdamKinds);
  saved.fill(3);
  test::save_from(2, {folder.path()}, saved, test::training_at(1));
  State loaded(test::small_layout(), {"weights"});
  load_state(resolve_checkpoint(folder.path(), nullptr), loaded.view());
  EXPECT_EQ(std::memcmp(saved.values["weights"].data(), loaded.values["weights"].data(),
                        saved.values["weights"].size() * sizeof(float)),
            0);
}

std::string load_error(const std::string& path, State& state) {
  try {
    load_state(resolve_checkpoint(path, nullptr), state.view());
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kCheckpoint);
    return error.what();
  }
  return "no error";
}

TEST(Load, NamesTensorShapesAndKeyOfAModelThatDiffers) {
  Folder folder;
  State saved(test::small_layout(), {"weights"});
  test::save_from(1, {folder.path()}, saved, test::training_at(1));

  State wider(test::layout_of({{"token_embedding.weight", {37, 32}}}), {"weights"});
  EXPECT_THAT(load_error(folder.path(), wider),
              AllOf(HasSubstr("'token_embedding.weight' is [37, 24]"), HasSubstr("has [37, 32]"),
                    HasSubstr("model.width")));
  State deeper(
      test::layout_of({{"token_embedding.weight", {37, 24}}, {"layers.1.norm1.weight", {24}}}),
      {"weights"});
  EXPECT_THAT(
      load_error(folder.path(), deeper),
      AllOf(HasSubstr("lacks the tensor 'layers.1.norm1.weight' [24]"), HasSubstr("model.layers")));
  State smaller(test::layout_of({{"token_embedding.weight", {37, 24}}}), {"weights"});
  EXPECT_THAT(load_error(folder.path(), smaller),
              HasSubstr("'layers.0.attention.qkv.weight' [72, 24] does not exist"));
  State averaged(test::small_layout(), {"weights", "average"});
  EXPECT_THAT(load_error(folder.path(), averaged),
              AllOf(HasSubstr("holds no 'average'"), HasSubstr("optimizer.ema")));
}

TEST(Pieces, CoverEveryElementOnceForAnyNumberOfRanks) {
  const StoreLayout layout = test::small_layout();
  std::vector<std::int64_t> counts;
  for (const ParameterSpec& spec : layout.parameters) counts.push_back(spec.shape.count());
  for (const int ranks : {1, 2, 3, 5, 64, 4000}) {
    std::vector<Piece> all;
    std::int64_t least = layout.parameter_count();
    std::int64_t most = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      const auto pieces = without_places(pieces_to_save(layout, StateKind{"weights"}, rank, ranks));
      least = std::min(least, element_count(pieces));
      most = std::max(most, element_count(pieces));
      all.insert(all.end(), pieces.begin(), pieces.end());
    }
    EXPECT_EQ(find_gap(all, counts).tensor, -1) << find_gap(all, counts).text;
    EXPECT_LE(most - least, 1) << ranks << " ranks";
    if (all.size() < 2) continue;
    auto twice = all;
    twice.push_back(all[1]);
    EXPECT_THAT(find_gap(twice, counts).text, HasSubstr("twice"));
    all.erase(all.begin() + 1);
    EXPECT_THAT(find_gap(all, counts).text, HasSubstr("missing"));
  }
}

TEST(Differences, SayWhatBreaksTheRunAndWhatOnlyChangesBits) {
  const TrainingState saved = test::training_at(1);
  TrainingState now = saved;
  now.optimizer = "lion";
  now.fingerprint = "avx512";
  const auto found = differences(saved, now);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].what, "optimizer.kind");
  EXPECT_TRUE(found[0].breaks);
  EXPECT_FALSE(found[1].breaks);
}

TEST(Save, MakesFilesPrivateWhereAsked) {
  Folder folder;
  State state(test::small_layout(), {"weights"});
  SaveOptions options{folder / "checkpoints"};
  options.private_files = true;
  test::save_from(2, options, state, test::training_at(1));
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
    struct stat status {};
    ASSERT_EQ(stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, entry.is_directory() ? 0700U : 0600U) << entry.path();
    files += entry.is_directory() ? 0 : 1;
  }
  EXPECT_EQ(files, 5);  // two ranks, manifest, configuration, tokenizer
}

TEST(Save, KeepsTheNewestAndNeverRemovesTheNewOne) {
  Folder folder;
  State state(test::small_layout(), {"weights"});
  SaveOptions options{folder.path()};
  options.keep = 2;
  const auto steps = [&] {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      names.insert(entry.path().filename().string());
    }
    return names;
  };
  for (const std::int64_t step : {1, 2, 3}) {
    test::save_from(1, options, state, test::training_at(step));
  }
  EXPECT_THAT(steps(), ElementsAre("step-00000002", "step-00000003"));
  // A run that went back to an earlier step: its checkpoint is the one that counts.
  test::save_from(1, options, state, test::training_at(1));
  EXPECT_THAT(steps(), ElementsAre("step-00000001", "step-00000003"));
}

TEST(Save, ReplacesACheckpointOfTheSameStep) {
  Folder folder;
  State state(test::small_layout(), {"weights"});
  state.fill(1);
  test::save_from(3, {folder.path()}, state, test::training_at(5));
  state.fill(2);
  test::save_from(1, {folder.path()}, state, test::training_at(5));
  EXPECT_THAT(
      test::names_below(folder.path()),
      ElementsAre("step-00000005", "step-00000005/config.yaml", "step-00000005/manifest.json",
                  "step-00000005/rank-00000.h5", "step-00000005/tokenizer.json"));
  State loaded(test::small_layout(), {"weights"});
  load_state(resolve_checkpoint(folder.path(), nullptr), loaded.view());
  EXPECT_EQ(std::memcmp(state.values["weights"].data(), loaded.values["weights"].data(),
                        state.values["weights"].size() * sizeof(float)),
            0);
}

}  // namespace
}  // namespace ingot
