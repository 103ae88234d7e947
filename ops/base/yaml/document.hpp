// A YAML document as a tree of plain values with their places, read from text that is not trusted.
// Accepted is the part of YAML 1.2 that job descriptions need: one document of mappings, sequences
// and scalars in UTF-8. Anchors, aliases, tags, duplicate keys and deep nesting are refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ingot::yaml {

constexpr std::int64_t kMostBytes = std::int64_t{1} << 20;
constexpr int kMostDepth = 64;

/// Line and column, counted from 1; 0 where there is none.
struct Mark {
  int line = 0;
  int column = 0;
};

struct Entry;

enum class NodeKind : std::uint8_t { kNull, kScalar, kSequence, kMapping };

struct Node {
  NodeKind kind = NodeKind::kNull;
  Mark mark;
  std::string text;            ///< of a scalar
  bool quoted = false;         ///< a quoted or block scalar: text whatever it looks like
  std::vector<Node> items;     ///< of a sequence
  std::vector<Entry> entries;  ///< of a mapping, in the order of the file, keys unique
};

struct Entry {
  std::string key;
  Mark mark;
  Node value;
};

/// Where text comes from, for error messages: a file, whose lines and columns are named, or a
/// command line argument, where they would mean nothing.
struct Source {
  std::string name;
  bool has_lines = true;

  /// "configs/x.yaml:12:3" or just the name.
  std::string place(Mark mark) const;
};

/// Parses one document. Throws Error(kConfiguration) with place, finding and remedy. An empty
/// document is a null node.
Node parse(std::string_view text, const Source& source);

/// Text of a file of at most kMostBytes. Throws Error(kConfiguration) where it is missing, a
/// directory, not readable or too large.
std::string read_yaml_file(const std::filesystem::path& path);

/// "a mapping", "text 'abc'", "nothing": what a node is, for "expected ..., found ...".
std::string describe(const Node& node);

/// A YAML scalar that parse() reads back as exactly this text: plain where that is safe, else in
/// double quotes.
std::string quote(std::string_view text);

}  // namespace ingot::yaml
