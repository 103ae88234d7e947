// Damaged, torn and hostile checkpoints are told from good ones, and a failed save leaves what was
// there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ops/base/checksum.hpp"
#include "runtime/checkpoint/files.hpp"
#include "tests/runtime/checkpoint/fixture.hpp"

namespace ingot {
namespace {

using nlohmann::json;
using test::Folder;
using test::State;
using testing::AllOf;
using testing::AnyOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// Two checkpoints, of steps 1 and 2, saved by two ranks; the second one is about to be damaged.
class Damage : public testing::Test {
 protected:
  Damage() : state_(test::small_layout(), {"weights", "moment 1"}) {
    state_.fill(5);
    test::save_from(2, {folder_.path()}, state_, test::training_at(1));
    test::save_from(2, {folder_.path()}, state_, test::training_at(2));
  }

  std::string second() const { return folder_ / "step-00000002"; }

  /// Opens, verifies and loads step 2.
  std::string error_of_second() {
    try {
      State loaded(test::small_layout(), {"weights", "moment 1"});
      load_state(open_checkpoint(second()), loaded.view());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kCheckpoint) << error.what();
      return error.what();
    }
    return "no error";
  }

  /// The search falls back to step 1 and says why.
  void expect_fallback(const std::string& reason) {
    std::vector<std::string> reports;
    const auto found =
        find_latest(folder_.path(), [&](const std::string& text) { reports.push_back(text); });
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->training().step, 1);
    EXPECT_THAT(reports, ElementsAre(HasSubstr(reason)));
  }

  Folder folder_;
  State state_;
};

TEST_F(Damage, IsNotFoundWhereThereIsNone) {
  EXPECT_EQ(find_latest(folder_.path(), nullptr)->training().step, 2);
  EXPECT_EQ(error_of_second(), "no error");
}

TEST_F(Damage, OfAMissingManifestIsNoticed) {
  std::filesystem::remove(second() + "/manifest.json");
  expect_fallback("not a checkpoint");
}

TEST_F(Damage, OfAMissingFileIsNoticed) {
  std::filesystem::remove(second() + "/rank-00001.h5");
  expect_fallback("rank-00001.h5: missing");
}

TEST_F(Damage, OfATruncatedFileIsNoticedAtEveryLength) {
  for (const char* name : {"/rank-00000.h5", "/manifest.json", "/tokenizer.json"}) {
    const std::string path = second() + name;
    const std::string whole = test::read_all(path);
    for (std::size_t part = 0; part < 8; ++part) {
      test::write_all(path, whole.substr(0, whole.size() * part / 8));
      EXPECT_NE(error_of_second(), "no error") << name << " cut to " << part << "/8";
    }
    test::write_all(path, whole.substr(0, whole.size() - 1));
    if (std::string(name) != "/manifest.json") {  // whose last byte is a line end
      EXPECT_THAT(error_of_second(), HasSubstr("expected"));
    }
    test::write_all(path, whole);
  }
  EXPECT_EQ(error_of_second(), "no error");
}

TEST_F(Damage, OfOneBitIsNoticedWhereverItIs) {
  std::mt19937 engine(20260101);
  for (const char* name : {"/rank-00000.h5", "/rank-00001.h5", "/manifest.json"}) {
    const std::string path = second() + name;
    const std::string whole = test::read_all(path);
    for (int trial = 0; trial < 40; ++trial) {
      const std::size_t byte = engine() % whole.size();
      const auto bit = static_cast<char>(1U << (engine() % 8));
      std::string damaged = whole;
      damaged[byte] = static_cast<char>(damaged[byte] ^ bit);
      test::write_all(path, damaged);
      const auto found = find_latest(folder_.path(), nullptr);
      // Space between the tokens of JSON may become other space.
      if (std::string(name) == "/manifest.json" && found->training().step == 2) {
        EXPECT_EQ(json::parse(damaged), json::parse(whole));
      } else {
        EXPECT_EQ(found->training().step, 1) << name << " byte " << byte;
      }
    }
    test::write_all(path, whole);
  }
}

TEST_F(Damage, OfATensorNamesFileDatasetAndChecksums) {
  // The last bytes of the file are those of the last dataset.
  const std::string path = second() + "/rank-00001.h5";
  std::string text = test::read_all(path);
  const auto entry = open_checkpoint(second()).manifest.rank_files[1];
  const float value =
      state_.values["moment 1"][static_cast<std::size_t>(state_.layout.offsets.back())];
  const std::string bytes(reinterpret_cast<const char*>(&value), sizeof(value));
  const auto place = text.rfind(bytes);
  ASSERT_NE(place, std::string::npos);
  text[place] = static_cast<char>(text[place] ^ 1);
  test::write_all(path, text);
  EXPECT_THAT(error_of_second(), AllOf(HasSubstr("rank-00001.h5"), HasSubstr("'moment 1'"),
                                       HasSubstr(entry.datasets[2].checksum)));
  expect_fallback("'moment 1'");
}

TEST_F(Damage, OfATornSaveIsIgnoredAndRemovedAtStart) {
  std::filesystem::rename(second(), second() + ".tmp-123-abc");
  std::filesystem::remove(second() + ".tmp-123-abc/manifest.json");
  std::filesystem::create_directory(folder_ / "notes.tmp-1");
  EXPECT_EQ(find_latest(folder_.path(), nullptr)->training().step, 1);
  EXPECT_THAT(remove_leftovers(folder_.path()), testing::IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(second() + ".tmp-123-abc"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "notes.tmp-1"));  // not ours
}

/// Changes the manifest's body and gives it the right checksum, as an attacker would.
template <typename Change>
void forge(const std::string& path, Change change) {
  json file = json::parse(test::read_all(path));
  change(file["manifest"]);
  const std::string body = file["manifest"].dump();
  file["checksum"] = checksum128(std::as_bytes(std::span(body))).text();
  test::write_all(path, file.dump());
}

TEST_F(Damage, ByAForgedManifestIsRefusedByName) {
  const std::string path = second() + "/manifest.json";
  const std::string whole = test::read_all(path);
  using Change = std::function<void(json&)>;
  const std::vector<std::pair<Change, std::string>> forgeries = {
      {[](json& body) { body["rank_files"][0]["name"] = "../../etc/passwd"; },
       "expected 'rank-00000"},
      {[](json& body) { body["text_files"][0]["name"] = "/etc/passwd"; }, "unexpected file"},
      {[](json& body) { body["format_version"] = 3; }, "format version 3"},
      {[](json& body) { body["format"] = "other"; }, "'format' is other"},
      {[](json& body) { body["training"].erase("step"); }, "lacks 'step'"},
      {[](json& body) { body["training"]["step"] = -1; }, "'step' is -1"},
      {[](json& body) { body["training"]["step"] = 1e300; }, "'step' is number"},
      {[](json& body) { body["training"]["tokens"] = ~std::uint64_t{0}; }, "'tokens'"},
      {[](json& body) {
         body["tensors"][0]["shape"] = {1U << 31, 1U << 31, 1U << 31};
       },
       "'shape'"},
      {[](json& body) { body["tensors"][0]["shape"] = {-1}; }, "'shape'"},
      {[](json& body) { body["tensors"][1] = body["tensors"][0]; }, "listed twice"},
      {[](json& body) {
         body["kinds"] = {"weights", "moment 9"};
       },
       "lacks the dataset 'moment 9'"},
      {[](json& body) { body["kinds"] = "weights"; }, "expected a list"},
      {[](json& body) { body["rank_files"].erase(1); }, "are missing"},
      {[](json& body) {
         body["tensors"][0]["shape"] = {5, 5};
       },
       "outside its tensor"},
      {[](json& body) { body["rank_files"][0]["bytes"] = 7; }, "expected 7"},
      {[](json& body) { body["rank_files"][0]["xxh3_128"] = "zz"; }, "hexadecimal"},
      {[](json& body) { body = json::array(); }, "expected an object"}};
  for (const auto& [change, expected] : forgeries) {
    forge(path, change);
    try {
      verify_checkpoint(open_checkpoint(second()));
      ADD_FAILURE() << "accepted: " << expected;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kCheckpoint);
      EXPECT_THAT(error.what(), HasSubstr(expected));
    }
    test::write_all(path, whole);
  }
}

TEST_F(Damage, ByAManifestOfDeepNestingOrNoSenseIsRefused) {
  const std::string path = second() + "/manifest.json";
  for (const std::string& text :
       {std::string(1 << 20, '['), std::string("{}"), std::string("null"), std::string(),
        std::string("{\"checksum\": 1, \"manifest\": {}}"),
        std::string("{\"checksum\": \"\", \"checksum\": \"\"}"), std::string(1000, '\xff')}) {
    test::write_all(path, text);
    EXPECT_THAT(error_of_second(), HasSubstr("manifest.json")) << text.substr(0, 40);
  }
}

TEST_F(Damage, ByARankFileOfAnotherKindIsRefused) {
  const std::string path = second() + "/rank-00000.h5";
  const std::string other(std::filesystem::file_size(path), 'x');
  test::write_all(path, other);
  EXPECT_THAT(error_of_second(), AllOf(HasSubstr("rank-00000.h5"), HasSubstr("HDF5")));
}

TEST_F(Damage, IsNotDoneByASaveThatFails) {
  // A folder stands where rank 1's file belongs... which only works when the name of the temporary
  // folder is known, so the failure is a state that cannot be described: a dataset without a name.
  State broken(test::small_layout(), {"weights", ""});
  const auto errors = test::save_from(2, {folder_.path()}, broken, test::training_at(2));
  EXPECT_THAT(errors, Each(AllOf(HasSubstr("rank 0 could not save step 2"), HasSubstr("needed"))));
  EXPECT_EQ(error_of_second(), "no error");
  for (const std::string& name : test::names_below(folder_.path())) {
    EXPECT_THAT(name, Not(HasSubstr("tmp")));
  }
}

TEST(SaveWithoutAFolder, NamesThePathOnEveryRank) {
  Folder folder;
  test::write_all(folder / "file", "not a folder");
  State state(test::small_layout(), {"weights"});
  const auto errors =
      test::save_from(3, {folder / "file/checkpoints"}, state, test::training_at(1));
  EXPECT_THAT(errors, Each(AllOf(HasSubstr("file"), HasSubstr("cannot create the folder"))));
}

TEST(Room, IsRequiredInBytesWithBothFiguresInTheMessage) {
  Folder folder;
  require_room(folder.path(), 1000, 1);
  try {
    require_room(folder.path(), std::int64_t{1} << 60, 1);
    FAIL() << "an exbibyte was free";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kCannotWrite);
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr(folder.path()), HasSubstr("needed"), HasSubstr("free")));
  }
}

TEST(StepNames, AreReadBackExactly) {
  EXPECT_EQ(step_of(step_name(1000)), 1000);
  EXPECT_EQ(step_of(step_name(123456789012)), 123456789012);
  for (const char* name : {"step-1", "step-00000001.tmp-1", "step-", "step-0000000x", "x",
                           "step-000000000000000000000000000001"}) {
    EXPECT_FALSE(step_of(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace ingot
