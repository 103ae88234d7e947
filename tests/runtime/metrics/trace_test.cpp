// The timeline file: what a viewer needs to find in it.
#include "runtime/metrics/trace.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

namespace ingot {
namespace {

using nlohmann::json;

StepTrace example() {
  StepTrace trace(120, 3, "node7", {"compute", "communication"});
  trace.add({.name = "layer 0/attention",
             .category = "forward",
             .track = 0,
             .begin = 100.000001,
             .end = 100.0000035,
             .figures = {{"bytes", 4096}}});
  trace.add(
      {.name = "bucket 2", .category = "communication", .track = 1, .begin = 100.5, .end = 101});
  return trace;
}

std::vector<json> events(const StepTrace& trace, const std::string& phase) {
  std::vector<json> found;
  const json document = json::parse(trace.json());
  for (const json& event : document.at("traceEvents")) {
    if (event.at("ph") == phase) found.push_back(event);
  }
  return found;
}

TEST(StepTrace, NamesItsFileByStepAndRank) {
  EXPECT_EQ(example().file_name(), "step-00000120-rank-00003.json");
}

TEST(StepTrace, MakesTheRankAProcessAndEachStreamAThread) {
  const std::vector<json> names = events(example(), "M");
  ASSERT_EQ(names.size(), 3U);
  EXPECT_EQ(names[0].at("name"), "process_name");
  EXPECT_EQ(names[0].at("args").at("name"), "rank 3 (node7)");
  EXPECT_EQ(names[1].at("name"), "thread_name");
  EXPECT_EQ(names[1].at("args").at("name"), "compute");
  EXPECT_EQ(names[2].at("args").at("name"), "communication");
  EXPECT_EQ(names[2].at("tid"), 1);
}

TEST(StepTrace, GivesSpansInMicrosecondsOnTheirStreams) {
  const std::vector<json> spans = events(example(), "X");
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[0].at("name"), "layer 0/attention");
  EXPECT_EQ(spans[0].at("cat"), "forward");
  EXPECT_EQ(spans[0].at("pid"), 3);
  EXPECT_EQ(spans[0].at("tid"), 0);
  EXPECT_NEAR(spans[0].at("dur").get<double>(), 2.5, 2e-3);
  EXPECT_EQ(spans[0].at("args").at("bytes"), 4096);
  EXPECT_EQ(spans[1].at("tid"), 1);
  EXPECT_NEAR(spans[1].at("dur").get<double>(), 5e5, 1e-2);
  // From one span's begin to the other's, half a second less a microsecond.
  EXPECT_NEAR(spans[1].at("ts").get<double>() - spans[0].at("ts").get<double>(), 499999.0, 1.0);
}

TEST(StepTrace, SurvivesNamesThatAreNotText) {
  StepTrace trace(1, 0, "\xff", {"\xc3("});
  trace.add({.name = "\"\\\x01\xfe", .category = "forward"});
  EXPECT_EQ(events(trace, "X").size(), 1U);
}

}  // namespace
}  // namespace ingot
