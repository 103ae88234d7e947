#include "ops/base/yaml/document.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "ops/base/error.hpp"

namespace ingot::yaml {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const Source kFile = {"x.yaml", true};

std::string message_of(std::string_view text) {
  try {
    parse(text, kFile);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfiguration);
    return error.what();
  }
  return "accepted";
}

TEST(YamlDocument, KeepsOrderPlacesAndQuoting) {
  const Node root = parse("a: 1\nb:\n  c: \"1\"\n  d: [x, 'y']\n", kFile);
  ASSERT_EQ(root.kind, NodeKind::kMapping);
  ASSERT_EQ(root.entries.size(), 2U);
  EXPECT_EQ(root.entries[0].key, "a");
  EXPECT_FALSE(root.entries[0].value.quoted);
  const Node& b = root.entries[1].value;
  EXPECT_TRUE(b.entries[0].value.quoted);
  EXPECT_EQ(b.entries[0].mark.line, 3);
  EXPECT_EQ(b.entries[0].mark.column, 3);
  ASSERT_EQ(b.entries[1].value.items.size(), 2U);
  EXPECT_TRUE(b.entries[1].value.items[1].quoted);
}

TEST(YamlDocument, NothingIsNull) {
  EXPECT_EQ(parse("", kFile).kind, NodeKind::kNull);
  EXPECT_EQ(parse("# only a comment\n", kFile).kind, NodeKind::kNull);
}

TEST(YamlDocument, DuplicateKeysAreRefusedWithBothLines) {
  EXPECT_EQ(message_of("a: 1\nb: 2\na: 3\n"),
            "x.yaml:3:1: duplicate key 'a'; it was given before in line 1");
}

TEST(YamlDocument, AliasBombStopsAtItsFirstAnchor) {
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c <= 'z'; ++c) {
    const char before = static_cast<char>(c - 1);
    bomb += fmt::format("{0}: &{0} [*{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}]\n", c, before);
  }
  EXPECT_THAT(message_of(bomb), HasSubstr("x.yaml:1:4: anchor '&a'"));
}

TEST(YamlDocument, DeepNestingIsRefused) {
  std::string open(kMostDepth, '[');
  const std::string close(kMostDepth, ']');
  EXPECT_EQ(message_of(open + close), "accepted");
  EXPECT_THAT(message_of("[" + open + close + "]"), HasSubstr("nested more than 64 levels"));
  EXPECT_THAT(message_of(std::string(100000, '[')), HasSubstr("nested more than 64 levels"));
  std::string blocks;
  for (int i = 0; i < 100; ++i) blocks += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_THAT(message_of(blocks), HasSubstr("nested more than 64 levels"));
}

TEST(YamlDocument, WhatIsNotUtf8TextIsRefused) {
  EXPECT_THAT(message_of("a: b\nc: \xff\n"),
              StartsWith("x.yaml:2:4: byte 0xff is not valid UTF-8"));
  EXPECT_THAT(message_of(std::string_view("a: \0b", 5)), HasSubstr("control character 0x00"));
  EXPECT_THAT(message_of("\xff\xfe"), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(message_of(std::string(kMostBytes + 1, 'a')), HasSubstr("larger than"));
}

TEST(YamlDocument, TabsInIndentationAreRefusedElsewhereAccepted) {
  EXPECT_EQ(message_of("a:\n\tb: 1\n"), "x.yaml:2:1: a tab in the indentation; indent with spaces");
  EXPECT_EQ(message_of("a:\n  \tb: 1\n"),
            "x.yaml:2:3: a tab in the indentation; indent with spaces");
  EXPECT_EQ(message_of("a: 1\t# comment\n"), "accepted");
}

TEST(YamlDocument, BrokenSyntaxNamesItsPlace) {
  EXPECT_THAT(message_of("a: [1, 2\nb: 3\n"), StartsWith("x.yaml:"));
  EXPECT_THAT(message_of("a: 1\n  b: 2\n"), StartsWith("x.yaml:2:"));
  EXPECT_EQ(message_of("a: \"open\nb: 1\n"),
            "x.yaml:1:4: the quote that starts here is never closed");
  EXPECT_THAT(message_of("\xef\xbb\xbf"
                         "a: 'it''s open\n"),
              HasSubstr("x.yaml:1:4: the quote"));
  EXPECT_EQ(message_of("a: \"b\\\"c\"\nd: 'it''s'\ne: |\n  \"text\n"), "accepted");
}

TEST(YamlDocument, TagsSecondDocumentsAndOddKeysAreRefused) {
  EXPECT_THAT(message_of("a: !!python/object x\n"), HasSubstr("tags are not accepted"));
  EXPECT_THAT(message_of("a: !x [1]\n"), HasSubstr("tags are not accepted"));
  EXPECT_THAT(message_of("a: 1\n---\nb: 2\n"), HasSubstr("a second document"));
  EXPECT_THAT(message_of("[1, 2]: 3\n"), HasSubstr("a key must be a name"));
  EXPECT_THAT(message_of("~: 3\n"), HasSubstr("a key must be a name"));
}

TEST(YamlDocument, FilesThatCannotBeReadAreConfigurationErrors) {
  for (const std::string path : {"/nonexistent/x.yaml", "/"}) {
    try {
      read_yaml_file(path);
      ADD_FAILURE() << "read " << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfiguration);
      EXPECT_THAT(error.what(), HasSubstr(path));
    }
  }
}

TEST(YamlDocument, QuotedTextReadsBackExactly) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  const std::vector<std::string> pieces = {
      "a", "-", " ", ":", "#", "\"",   "\\", "\n", "\t",   "'",        "~",           "{",
      "[", "&", "*", "!", "|", "null", "\r", "?",  "\x01", "\xc3\xa4", "\xe2\x80\xa8"};
  std::vector<std::string> texts = {"", "null", "~", "---", "...", "true", "1e3", "runs/a-b_c.h5"};
  for (int i = 0; i < 500; ++i) {
    std::string text;
    for (unsigned length = random() % 6; length > 0; --length) {
      text += pieces[random() % pieces.size()];
    }
    texts.push_back(text);
  }
  for (const std::string& text : texts) {
    const Node root = parse("a: " + quote(text) + "\n", kFile);
    EXPECT_EQ(root.entries[0].value.kind, NodeKind::kScalar) << quote(text);
    EXPECT_EQ(root.entries[0].value.text, text) << quote(text);
  }
}

}  // namespace
}  // namespace ingot::yaml
