#include "ops/base/yaml/schema.hpp"

#include <gmock/gmock.h>

#include "ops/base/error.hpp"

namespace ingot::yaml {
namespace {

using testing::HasSubstr;

struct Part {
  std::string path;
  double weight = 1;
  friend bool operator==(const Part&, const Part&) = default;
};
struct Inner {
  bool flag = false;
  std::int64_t number = 3;
  double real = 0.5;
  std::string mode = "fast";
  std::int64_t size = 4096;
  double time = 60;
  std::int64_t count = 0;
  friend bool operator==(const Inner&, const Inner&) = default;
};
struct Outer {
  std::string name = "x";
  std::uint64_t seed = 1;
  Inner inner;
  std::vector<std::int64_t> widths = {2, 1};
  std::vector<std::string> texts;
  std::vector<Part> parts;
  friend bool operator==(const Outer&, const Outer&) = default;
};

Schema outer_schema() {
  return {
      "Outer",
      "All of it.",
      {text("name", &Outer::name, "Its name.").required(),
       unsigned_integer("seed", &Outer::seed, "Its seed."),
       mapping("inner", &Outer::inner,
               {"inner",
                "Inside.",
                {boolean("flag", &Inner::flag, "A flag."),
                 integer("number", &Inner::number, {.least = 1, .most = 9}, "A number."),
                 real("real", &Inner::real, {.least = 0, .most = 1, .below_most = true}, "A real."),
                 choice("mode", &Inner::mode, {"fast", "exact"}, "A mode.").reserve({"magic"}),
                 bytes("size", &Inner::size, {.least = 4096}, "A size."),
                 duration("time", &Inner::time, {.least = 1}, "A time."),
                 count("count", &Inner::count, {.least = 0}, "A count.")
                     .only_with("inner.mode", {"exact"}),
                 reserved("future")}}),
       integer_list("widths", &Outer::widths, {.least = 1}, "Widths."),
       text_list("texts", &Outer::texts, "Texts."),
       mapping_list(
           "parts", &Outer::parts,
           {"parts",
            "Parts.",
            {text("path", &Part::path, "A path.").required(),
             real("weight", &Part::weight, {.least = 0, .above_least = true}, "A weight.")}})}};
}

Outer read(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const Schema schema = outer_schema();
  const Source source = {"x.yaml", true};
  Outer outer;
  Places places;
  yaml::bind(schema, parse(text, source), source, &outer, places);
  for (const std::string& argument : overrides) bind_override(schema, argument, &outer, places);
  check_required(schema, places, source.name);
  check_conditions(schema, &outer, places);
  return outer;
}

std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {},
                    ExitCode code = ExitCode::kConfiguration) {
  try {
    read(text, overrides);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST(YamlSchema, BindsEveryType) {
  const Outer outer = read(
      "name: 12\nseed: 18446744073709551615\n"
      "inner: {flag: true, number: 9, real: 1e-3, mode: exact, size: 64KiB, time: 2min, count: "
      "1.2M}\n"
      "widths: [7, 8]\ntexts: [a, 'b c']\nparts:\n  - path: p\n  - {path: q, weight: 2}\n");
  EXPECT_EQ(outer.name, "12");
  EXPECT_EQ(outer.seed, 18446744073709551615U);
  EXPECT_EQ(outer.inner, (Inner{true, 9, 1e-3, "exact", 65536, 120, 1200000}));
  EXPECT_EQ(outer.widths, (std::vector<std::int64_t>{7, 8}));
  EXPECT_EQ(outer.texts, (std::vector<std::string>{"a", "b c"}));
  EXPECT_EQ(outer.parts, (std::vector<Part>{{"p", 1}, {"q", 2}}));
}

TEST(YamlSchema, MisspeltKeysGetTheNearestOne) {
  EXPECT_EQ(refusal("nmae: x\n"), "x.yaml:1:1: unknown key 'nmae'; did you mean 'name'?");
  EXPECT_EQ(refusal("name: x\ninner:\n  nubmer: 3\n"),
            "x.yaml:3:3: unknown key 'nubmer' in 'inner'; did you mean 'number'?");
  EXPECT_EQ(refusal("number: 3\n"),
            "x.yaml:1:1: unknown key 'number'; did you mean 'inner.number'?");
  EXPECT_THAT(refusal("zzzzzz: 3\n"),
              HasSubstr("expected name, seed, inner, widths, texts or parts"));
}

TEST(YamlSchema, WrongTypesSayWhatWasExpected) {
  const auto inner = [](const std::string& entry) { return refusal("inner:\n  " + entry + "\n"); };
  EXPECT_EQ(inner("number: abc"),
            "x.yaml:2:11: inner.number: expected integer, at least 1 and at most 9, found 'abc'");
  EXPECT_THAT(inner("number: 3.0"), HasSubstr("write 3"));
  EXPECT_THAT(inner("number: 08"), HasSubstr("without leading zeros"));
  EXPECT_THAT(inner("number: 0x3"), HasSubstr("in decimal"));
  EXPECT_THAT(inner("number: \"3\""), HasSubstr("remove the quotes"));
  EXPECT_THAT(inner("number: [3]"), HasSubstr("found a list"));
  EXPECT_THAT(inner("number:"), HasSubstr("found nothing"));
  EXPECT_THAT(inner("number: 99999999999999999999"), HasSubstr("expected integer"));
  for (const char* yes : {"yes", "on", "True", "y"}) {
    EXPECT_THAT(inner(std::string("flag: ") + yes), HasSubstr("write true")) << yes;
  }
  for (const char* no : {"no", "off", "FALSE", "0"}) {
    EXPECT_THAT(inner(std::string("flag: ") + no), HasSubstr("write false")) << no;
  }
  for (const char* real : {"nan", ".nan", ".inf", "1e400", "abc", "0x1p3", "1,5"}) {
    EXPECT_THAT(inner(std::string("real: ") + real), HasSubstr("expected number")) << real;
  }
  EXPECT_THAT(inner("size: 64kib"), HasSubstr("such as 16MiB"));
  EXPECT_THAT(inner("time: 30"), HasSubstr("such as 30s"));
  EXPECT_THAT(inner("count: 1.5"), HasSubstr("such as 1.2M"));
  EXPECT_THAT(inner("mode: fsat"),
              HasSubstr("expected fast or exact, found 'fsat'; did you mean 'fast'?"));
  EXPECT_THAT(refusal("name: ~\n"), HasSubstr("write \"\" for empty text"));
  EXPECT_THAT(refusal("name: \"a\\0b\"\n"), HasSubstr("zero byte"));
  EXPECT_THAT(refusal("name: {a: b}\n"), HasSubstr("found a mapping"));
  EXPECT_THAT(refusal("inner: 3\n"), HasSubstr("inner: expected a mapping of keys to values"));
  EXPECT_THAT(refusal("widths: 3\n"), HasSubstr("expected a list of integers"));
  EXPECT_THAT(refusal("widths: [1, 0]\n"), HasSubstr("x.yaml:1:13: widths: expected integer"));
  EXPECT_THAT(refusal("parts: [a]\n"), HasSubstr("parts[0]: expected a mapping"));
  EXPECT_THAT(refusal("parts: [{weight: 1}]\n"), HasSubstr("key 'path' is missing"));
}

TEST(YamlSchema, RangesAreChecked) {
  EXPECT_THAT(refusal("inner: {number: 0}"), HasSubstr("at least 1"));
  EXPECT_THAT(refusal("inner: {number: 10}"), HasSubstr("at most 9"));
  EXPECT_THAT(refusal("inner: {real: 1.0}"), HasSubstr("below 1"));
  EXPECT_THAT(refusal("inner: {size: 1KiB}"), HasSubstr("at least 4KiB"));
  EXPECT_THAT(refusal("inner: {time: 1ms}"), HasSubstr("at least 1s"));
  EXPECT_THAT(refusal("parts: [{path: a, weight: 0}]"), HasSubstr("above 0"));
}

TEST(YamlSchema, EmptyDocumentsAndMissingKeysAreRefusedEmptySectionsAccepted) {
  EXPECT_EQ(refusal(""), "x.yaml: expected a mapping of keys to values, found an empty document");
  EXPECT_THAT(refusal("- a\n"), HasSubstr("found a list"));
  EXPECT_EQ(refusal("seed: 2\n"), "x.yaml: key 'name' is missing; expected text");
  EXPECT_EQ(refusal("name: x\ninner:\n"), "accepted");
}

TEST(YamlSchema, KeysAndValuesOfLaterVersionsAreNotUnknown) {
  EXPECT_EQ(refusal("inner: {future: 1}"),
            "x.yaml:1:9: 'inner.future' is not available in this version of ingot; remove it");
  EXPECT_THAT(refusal("inner: {mode: magic}"), HasSubstr("not available in this version"));
}

TEST(YamlSchema, KeysThatMeanNothingAreRefusedWhereTheyWereWritten) {
  EXPECT_EQ(refusal("name: x\ninner:\n  count: 5\n"),
            "x.yaml:3:3: inner.count means nothing where inner.mode is fast; remove it, or set "
            "inner.mode to exact");
}

TEST(YamlSchema, OverridesWinAndNameThemselves) {
  const std::string text = "name: x\ninner: {number: 2}\n";
  const Outer outer = read(text, {"inner.number=4", "name=", "widths=[5]", "inner={flag: true}"});
  EXPECT_EQ(outer.inner.number, 4);
  EXPECT_TRUE(outer.inner.flag);
  EXPECT_EQ(outer.name, "");
  EXPECT_EQ(outer.widths, (std::vector<std::int64_t>{5}));
  EXPECT_EQ(
      refusal(text, {"inner.number=abc"}),
      "command line: inner.number=abc: expected integer, at least 1 and at most 9, found 'abc'");
  EXPECT_EQ(refusal(text, {"iner.number=1"}),
            "command line: iner.number=1: unknown key 'iner'; did you mean 'inner'?");
  EXPECT_EQ(
      refusal(text, {"inner={number: 0}"}),
      "command line: inner={number: 0}: inner.number: expected integer, at least 1 and at most "
      "9, found '0'");
  EXPECT_THAT(refusal(text, {"name.a=1"}), HasSubstr("has no keys of its own"));
  EXPECT_THAT(refusal(text, {"inner.number="}), HasSubstr("expected integer"));
  EXPECT_THAT(refusal(text, {"inner.=1"}), HasSubstr("unknown key ''"));
  EXPECT_THAT(refusal(text, {"name=[a"}), HasSubstr("not valid YAML"));
  EXPECT_THAT(refusal(text, {"name=*a"}), HasSubstr("command line: name=*a: "));
  EXPECT_THAT(refusal(text, {"name"}, ExitCode::kUsage), HasSubstr("expected section.key=value"));
  EXPECT_THAT(refusal(text, {"=3"}, ExitCode::kUsage), HasSubstr("expected section.key=value"));
}

TEST(YamlSchema, AWordMayStandForAnInteger) {
  const Schema schema = {
      "s",
      "S.",
      {integer("number", &Inner::number, {.least = 1}, "A number.").or_word("auto", 0),
       bytes("size", &Inner::size, {}, "A size.").only_with("number", {"auto"})}};
  const auto read_number = [&](const std::string& value) {
    Inner inner;
    Places places;
    bind_override(schema, "number=" + value, &inner, places);
    return inner;
  };
  EXPECT_EQ(read_number("auto").number, 0);
  EXPECT_EQ(read_number("7").number, 7);
  EXPECT_EQ(expectation(schema.keys[0]), "integer, at least 1, or auto");
  const auto refused = [&](const std::string& value) -> std::string {
    try {
      read_number(value);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(refused("0"), HasSubstr("expected integer, at least 1, or auto, found '0'"))
      << "what the word stands for is written as the word";
  EXPECT_THAT(refused("atuo"), HasSubstr("did you mean 'auto'?"));
  Inner inner = read_number("auto");
  EXPECT_EQ(render(schema, &inner), "number: auto\nsize: 4KiB\n");
  inner.number = 2;
  EXPECT_EQ(render(schema, &inner), "number: 2\n") << "the size means nothing then";
}

TEST(YamlSchema, RenderedStructsReadBackEqual) {
  Outer outer;
  outer.name = "a: \"b\" #c";
  outer.inner = {true, 7, 1.0 / 3, "exact", 12345, 0.1 + 1, 77};
  outer.texts = {"", "null", "x y"};
  outer.parts = {{"p", 0.3}, {"", 2}};
  const std::string text = render(outer_schema(), &outer);
  EXPECT_EQ(read(text), outer) << text;
}

TEST(YamlSchema, ReferenceShowsEveryKeyWithItsDefault) {
  const Outer outer;
  const std::string page = render_reference(outer_schema(), &outer);
  EXPECT_THAT(page, HasSubstr("| `name` | text | required | Its name. |"));
  EXPECT_THAT(page,
              HasSubstr("| `inner.size` | size such as 16MiB, at least 4KiB | `4KiB` | A size. |"));
  EXPECT_THAT(page, HasSubstr("Only with `inner.mode: exact`."));
  EXPECT_THAT(page, HasSubstr("| `parts[].path` |"));
  EXPECT_THAT(page, HasSubstr("`inner.mode: magic`, `inner.future`"));
}

}  // namespace
}  // namespace ingot::yaml
