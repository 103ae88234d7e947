#include "ops/base/yaml/document.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "ops/base/error.hpp"
#include "ops/base/file.hpp"
#include "ops/base/text.hpp"

namespace ingot::yaml {

namespace {

Mark from_yaml_cpp(const YAML::Mark& mark) {
  return mark.is_null() ? Mark{} : Mark{mark.line + 1, mark.column + 1};
}

template <typename... Arguments>
[[noreturn]] void refuse(const Source& source, Mark mark, fmt::format_string<Arguments...> format,
                         Arguments&&... arguments) {
  fail(ExitCode::kConfiguration, "{}: {}", source.place(mark),
       fmt::format(format, std::forward<Arguments>(arguments)...));
}

/// Builds the tree from yaml-cpp's events. Working on events rather than on yaml-cpp's own nodes
/// stops hostile input at the first alias or the first level too deep, before it costs anything.
class Builder : public YAML::EventHandler {
 public:
  Builder(std::string_view text, const Source& source) : text_(text), source_(source) {}
  Node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (started_) {
      refuse(source_, from_yaml_cpp(mark), "a second document starts here; one is expected");
    }
    started_ = true;
  }
  void OnDocumentEnd() override {}

  void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
    refuse(source_, from_yaml_cpp(mark),
           "anchor '&{}': anchors and aliases are not accepted; write the value out",
           printable(name));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(source_, from_yaml_cpp(mark),
           "alias: anchors and aliases are not accepted; write the value out");
  }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    Node node;
    node.mark = from_yaml_cpp(mark);
    add(std::move(node));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    Node node;
    node.kind = NodeKind::kScalar;
    node.mark = from_yaml_cpp(mark);
    node.text = value;
    // yaml-cpp says "?" for plain scalars and "!" for quoted ones; all else was written by the
    // user.
    node.quoted = tag == "!";
    if (tag != "?" && tag != "!") refuse_tag(node.mark, tag);
    if (node.quoted && !mark.is_null()) check_closed(static_cast<std::size_t>(mark.pos), node.mark);
    add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(NodeKind::kSequence, from_yaml_cpp(mark), tag);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    open(NodeKind::kMapping, from_yaml_cpp(mark), tag);
  }
  void OnMapEnd() override { close(); }

 private:
  /// A sequence or mapping whose end has not come yet.
  struct Open {
    Node node;
    std::optional<Node> key;  // of a mapping: read, its value is still to come
    std::set<std::string> keys;
  };

  [[noreturn]] void refuse_tag(Mark mark, const std::string& tag) const {
    refuse(source_, mark, "tag '{}': tags are not accepted; remove it", printable(tag));
  }

  /// yaml-cpp takes the rest of the document for the text of a quote that is never closed.
  void check_closed(std::size_t start, Mark mark) const {
    const char quote_mark = start < text_.size() ? text_[start] : '|';
    if (quote_mark != '"' && quote_mark != '\'') return;  // a block scalar
    for (std::size_t i = start + 1; i < text_.size(); ++i) {
      if (quote_mark == '"' && text_[i] == '\\') {
        ++i;
      } else if (text_[i] == quote_mark) {
        const bool doubled = quote_mark == '\'' && i + 1 < text_.size() && text_[i + 1] == '\'';
        if (!doubled) return;
        ++i;
      }
    }
    refuse(source_, mark, "the quote that starts here is never closed");
  }

  void open(NodeKind kind, Mark mark, const std::string& tag) {
    if (tag != "?" && !tag.empty()) refuse_tag(mark, tag);
    if (static_cast<int>(open_.size()) >= kMostDepth) {
      refuse(source_, mark, "nested more than {} levels deep", kMostDepth);
    }
    Open opened;
    opened.node.kind = kind;
    opened.node.mark = mark;
    open_.push_back(std::move(opened));
  }

  void close() {
    Node node = std::move(open_.back().node);
    open_.pop_back();
    add(std::move(node));
  }

  void add(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == NodeKind::kSequence) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.key) {
      check_key(parent, node);
      parent.key = std::move(node);
    } else {
      parent.node.entries.push_back(
          {std::move(parent.key->text), parent.key->mark, std::move(node)});
      parent.key.reset();
    }
  }

  void check_key(Open& parent, const Node& key) const {
    if (key.kind != NodeKind::kScalar) {
      refuse(source_, key.mark, "a key must be a name, found {}", describe(key));
    }
    if (!parent.keys.insert(key.text).second) {
      const auto& entries = parent.node.entries;
      const auto first = std::find_if(entries.begin(), entries.end(),
                                      [&](const Entry& e) { return e.key == key.text; });
      const int line = first == entries.end() ? 0 : first->mark.line;
      refuse(source_, key.mark, "duplicate key '{}'; it was given before{}", printable(key.text),
             source_.has_lines ? fmt::format(" in line {}", line) : "");
    }
  }

  std::string_view text_;
  const Source& source_;
  bool started_ = false;
  Node root_;
  std::vector<Open> open_;
};

/// Line and column of a byte; columns count bytes.
Mark mark_of(std::string_view text, std::size_t offset) {
  const auto before = text.substr(0, offset);
  const auto line = std::count(before.begin(), before.end(), '\n');
  const std::size_t start =
      before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return {static_cast<int>(line) + 1, static_cast<int>(offset - start) + 1};
}

/// What yaml-cpp would read differently from the standard, or report badly.
void check_characters(std::string_view text, const Source& source) {
  if (static_cast<std::int64_t>(text.size()) > kMostBytes) {
    refuse(source, {}, "is larger than the {} bytes that a YAML document may have", kMostBytes);
  }
  const std::size_t invalid = invalid_utf8_offset(text);
  if (invalid != text.size()) {
    refuse(source, mark_of(text, invalid), "byte 0x{:02x} is not valid UTF-8; save it as UTF-8",
           static_cast<unsigned char>(text[invalid]));
  }
  bool indentation = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\t' && indentation) {
      refuse(source, mark_of(text, i), "a tab in the indentation; indent with spaces");
    }
    const bool control =
        (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) && c != '\t' && c != '\n' && c != '\r';
    if (control) {
      refuse(source, mark_of(text, i), "control character 0x{:02x}; is this a text file?",
             static_cast<unsigned char>(c));
    }
    indentation = c == '\n' || (indentation && c == ' ');
  }
}

/// Scalars that YAML 1.2's core schema, or the older one, reads as null.
bool reads_as_null(std::string_view text) {
  constexpr std::array<std::string_view, 5> kNulls = {"", "~", "null", "Null", "NULL"};
  return std::find(kNulls.begin(), kNulls.end(), text) != kNulls.end();
}

}  // namespace

std::string Source::place(Mark mark) const {
  if (!has_lines || mark.line == 0) return name;
  return fmt::format("{}:{}:{}", name, mark.line, mark.column);
}

Node parse(std::string_view text, const Source& source) {
  check_characters(text, source);
  // A byte order mark would shift the places that yaml-cpp reports.
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  Builder builder(text, source);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    refuse(source, from_yaml_cpp(error.mark), "not valid YAML: {}", printable(error.msg));
  }
  return builder.take();
}

std::string read_yaml_file(const std::filesystem::path& path) {
  try {
    return read_file(path, kMostBytes);
  } catch (const Error& error) {
    throw Error(ExitCode::kConfiguration, error.what());
  }
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case NodeKind::kNull:
      return "nothing";
    case NodeKind::kScalar:
      return node.quoted ? fmt::format("the text \"{}\"", printable(node.text))
                         : fmt::format("'{}'", printable(node.text));
    case NodeKind::kSequence:
      return "a list";
    case NodeKind::kMapping:
      return "a mapping";
  }
  return "";
}

std::string quote(std::string_view text) {
  const auto plain_character = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '/' ||
           c == '-';
  };
  const bool plain = !reads_as_null(text) && text[0] != '-' && text != "---" && text != "..." &&
                     std::all_of(text.begin(), text.end(), plain_character);
  if (plain) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      quoted += fmt::format("\\x{:02x}", byte);
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace ingot::yaml
