// JSON within limits.
#include "runtime/data/tokenizer/bounded_json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

using testing::HasSubstr;

std::string refusal(std::string_view text, const JsonLimits& limits) {
  try {
    parse_bounded_json(text, "input", limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData);
    return error.what();
  }
  return "was accepted";
}

TEST(BoundedJson, ReadsWhatTheLibraryReads) {
  const std::string text =
      R"({"a":[1,-2,3.5,"x",null,true,[],{}],"b":{"c":{"d":[[1],[2,{"e":0}]]}}})";
  EXPECT_EQ(parse_bounded_json(text, "input"), nlohmann::json::parse(text));
  EXPECT_EQ(parse_bounded_json("7", "input"), 7);
}

TEST(BoundedJson, HoldsEachLimit) {
  EXPECT_EQ(refusal("[[1]]", {.depth = 2}), "was accepted");
  EXPECT_THAT(refusal("[[[1]]]", {.depth = 2}), HasSubstr("nested deeper than 2"));
  EXPECT_EQ(refusal("[1,2]", {.values = 3}), "was accepted");
  EXPECT_THAT(refusal("[1,2,3]", {.values = 3}), HasSubstr("more than 3 values"));
  EXPECT_EQ(refusal("[12]", {.bytes = 4}), "was accepted");
  EXPECT_THAT(refusal("[123]", {.bytes = 4}), HasSubstr("larger than 4 bytes"));
}

TEST(BoundedJson, RefusesAKeyThatOccursTwice) {
  EXPECT_THAT(refusal(R"({"a":{"b":1},"c":[],"a":2})", {}), HasSubstr("\"a\" occurs twice"));
  EXPECT_EQ(refusal(R"({"a":{"a":1},"b":{"a":1}})", {}), "was accepted");
}

TEST(BoundedFile, MustBeARegularFileWithinTheLimit) {
  EXPECT_THROW(read_bounded_file("/dev/zero"), Error);
  EXPECT_THROW(read_bounded_file(INGOT_SOURCE_DIR), Error);
  const std::string file = INGOT_SOURCE_DIR "/CMakeLists.txt";
  EXPECT_THAT(read_bounded_file(file), HasSubstr("project(ingot"));
  EXPECT_THROW(read_bounded_file(file, {.bytes = 10}), Error);
}

}  // namespace
}  // namespace ingot
