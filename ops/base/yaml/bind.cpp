// Reading: nodes into structs as a schema's table says.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "ops/base/error.hpp"
#include "ops/base/text.hpp"
#include "ops/base/units.hpp"
#include "ops/base/yaml/schema.hpp"

namespace ingot::yaml {

namespace {

const Key* find_key(const Schema& schema, std::string_view name) {
  for (const Key& key : schema.keys) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

std::string join_path(const std::string& prefix, std::string_view name) {
  return prefix.empty() ? std::string(name) : fmt::format("{}.{}", prefix, name);
}

bool in_range(double value, const Range& range) {
  if (value < range.least || (range.above_least && value == range.least)) return false;
  return value < range.most || (!range.below_most && value == range.most);
}

/// Why text that looks right is not, to follow "expected ..., found ...".
std::string hint(const Key& key, const Node& node) {
  if (node.kind == NodeKind::kNull && (key.type == Type::kText || key.type == Type::kChoice)) {
    return "; write \"\" for empty text";
  }
  if (node.kind != NodeKind::kScalar) return "";
  if (node.quoted) return key.type == Type::kChoice ? "" : "; remove the quotes";
  const std::string& text = node.text;
  if (key.type == Type::kBoolean) {
    constexpr std::array<std::string_view, 10> kTrue = {"yes", "Yes",  "YES",  "on", "On",
                                                        "ON",  "True", "TRUE", "y",  "1"};
    constexpr std::array<std::string_view, 10> kFalse = {"no",  "No",    "NO",    "off", "Off",
                                                         "OFF", "False", "FALSE", "n",   "0"};
    if (std::find(kTrue.begin(), kTrue.end(), text) != kTrue.end()) return "; write true";
    if (std::find(kFalse.begin(), kFalse.end(), text) != kFalse.end()) return "; write false";
    return "";
  }
  if (key.type == Type::kChoice) return did_you_mean(text, key.choices);
  if (!key.word.empty()) {
    const std::string near = did_you_mean(text, std::array<std::string, 1>{key.word});
    if (!near.empty()) return near;
  }
  const std::size_t digits = text.find_first_not_of("+-");
  if (digits != std::string::npos && text.size() > digits + 1 && text[digits] == '0') {
    const char next = text[digits + 1];
    if (next == 'x' || next == 'o' || next == 'b') return "; write it in decimal";
    if (next >= '0' && next <= '9') return "; write it without leading zeros";
  }
  if (key.type == Type::kInteger || key.type == Type::kIntegerList) {
    const auto real = parse_real(text);
    if (real && !parse_integer(text) && std::abs(*real) < 1e15 && std::trunc(*real) == *real) {
      return fmt::format("; write {:.0f}", *real);
    }
  }
  return "";
}

class Binder {
 public:
  /// `silent_path` is the key that the source's own name already shows.
  Binder(const Schema& root, const Source& source, Places& places, std::string silent_path = "")
      : root_(root), source_(source), places_(places), silent_path_(std::move(silent_path)) {}

  void bind_mapping(const Schema& schema, const Node& node, void* object,
                    const std::string& prefix) {
    if (node.kind == NodeKind::kNull && !prefix.empty()) return;  // a section with no keys
    if (node.kind != NodeKind::kMapping) {
      refuse(node.mark, prefix, "expected a mapping of keys to values, found {}",
             node.kind == NodeKind::kNull ? "an empty document" : describe(node));
    }
    for (const Entry& entry : node.entries) {
      const Key& key = known_key(schema, entry.key, entry.mark, prefix);
      bind_value(key, entry.value, entry.mark, key.field(object), join_path(prefix, key.name));
    }
  }

  void bind_value(const Key& key, const Node& node, Mark key_mark, void* field,
                  const std::string& path) {
    // A value that is left out has its place beside the key.
    const Mark mark = node.mark.line == 0 ? key_mark : node.mark;
    if (key.type == Type::kMapping) return bind_mapping(*key.schema, node, field, path);
    if (key.type == Type::kTextList || key.type == Type::kIntegerList ||
        key.type == Type::kMappingList) {
      bind_list(key, node, mark, field, path);
    } else {
      bind_scalar(key, node, mark, field, path);
    }
    places_[path] = source_.place(key_mark);
  }

  const Key& known_key(const Schema& schema, const std::string& name, Mark mark,
                       const std::string& prefix) const {
    const Key* key = find_key(schema, name);
    if (key != nullptr && key->type != Type::kReserved) return *key;
    if (key != nullptr) {
      fail(ExitCode::kConfiguration,
           "{}: '{}' is not available in this version of ingot; remove it", source_.place(mark),
           join_path(prefix, name));
    }
    fail(ExitCode::kConfiguration, "{}: unknown key '{}'{}{}", source_.place(mark), printable(name),
         prefix.empty() ? "" : fmt::format(" in '{}'", prefix), suggestion(schema, name));
  }

 private:
  template <typename... Arguments>
  [[noreturn]] void refuse(Mark mark, const std::string& path,
                           fmt::format_string<Arguments...> format,
                           Arguments&&... arguments) const {
    const bool silent = path.empty() || path == silent_path_;
    fail(ExitCode::kConfiguration, "{}: {}{}{}", source_.place(mark), silent ? "" : path,
         silent ? "" : ": ", fmt::format(format, std::forward<Arguments>(arguments)...));
  }

  [[noreturn]] void refuse_value(const Key& key, const Node& node, Mark mark,
                                 const std::string& path) const {
    refuse(mark, path, "expected {}, found {}{}", expectation(key), describe(node),
           hint(key, node));
  }

  std::string suggestion(const Schema& schema, const std::string& name) const {
    std::vector<std::string> names;
    for (const Key& key : schema.keys) {
      if (key.type != Type::kReserved) names.push_back(key.name);
    }
    const std::string near = did_you_mean(name, names);
    if (!near.empty()) return near;
    for (const Key& section : root_.keys) {
      if (section.type != Type::kMapping) continue;
      const Key* elsewhere = find_key(*section.schema, name);
      if (elsewhere != nullptr && elsewhere->type != Type::kReserved) {
        return fmt::format("; did you mean '{}.{}'?", section.name, name);
      }
    }
    return fmt::format("; expected {}", join_alternatives(names));
  }

  void bind_list(const Key& key, const Node& node, Mark mark, void* field,
                 const std::string& path) {
    if (node.kind != NodeKind::kSequence) {
      refuse(mark, path, "expected a {}, found {}", expectation(key), describe(node));
    }
    Key element = key;
    if (key.type == Type::kTextList) {
      element.type = Type::kText;
      bind_elements(element, node, *static_cast<std::vector<std::string>*>(field), path);
    } else if (key.type == Type::kIntegerList) {
      element.type = Type::kInteger;
      bind_elements(element, node, *static_cast<std::vector<std::int64_t>*>(field), path);
    } else {
      key.list.clear(field);
      for (std::size_t i = 0; i < node.items.size(); ++i) {
        bind_element_mapping(key, node.items[i], key.list.append(field),
                             fmt::format("{}[{}]", path, i));
      }
    }
  }

  template <typename T>
  void bind_elements(const Key& element, const Node& node, std::vector<T>& values,
                     const std::string& path) {
    values.clear();
    for (const Node& item : node.items) {
      bind_scalar(element, item, item.mark, &values.emplace_back(), path);
    }
  }

  void bind_element_mapping(const Key& key, const Node& item, void* object,
                            const std::string& path) {
    if (item.kind != NodeKind::kMapping) {
      refuse(item.mark, path, "expected a mapping, found {}", describe(item));
    }
    bind_mapping(*key.schema, item, object, path);
    for (const Key& member : key.schema->keys) {
      const bool given = std::any_of(item.entries.begin(), item.entries.end(),
                                     [&](const Entry& entry) { return entry.key == member.name; });
      if (member.is_required && !given) {
        refuse(item.mark, path, "key '{}' is missing", member.name);
      }
    }
  }

  void bind_scalar(const Key& key, const Node& node, Mark mark, void* field,
                   const std::string& path) const {
    const bool is_text = key.type == Type::kText || key.type == Type::kChoice;
    if (node.kind != NodeKind::kScalar || (node.quoted && !is_text)) {
      refuse_value(key, node, mark, path);
    }
    const std::string& text = node.text;
    // "\0" in double quotes is valid YAML, but would end a path early.
    if (text.find('\0') != std::string::npos) {
      refuse(mark, path, "the text holds a zero byte; remove it");
    }
    switch (key.type) {
      case Type::kBoolean:
        if (text != "true" && text != "false") refuse_value(key, node, mark, path);
        *static_cast<bool*>(field) = text == "true";
        break;
      case Type::kUnsigned:
        store<std::uint64_t>(parse_unsigned(text), key, node, mark, field, path);
        break;
      case Type::kInteger:
        if (!key.word.empty() && text == key.word) {
          *static_cast<std::int64_t*>(field) = key.word_value;
          break;
        }
        store<std::int64_t>(parse_integer(text), key, node, mark, field, path);
        break;
      case Type::kReal:
        store<double>(parse_real(text), key, node, mark, field, path);
        break;
      case Type::kBytes:
        store<std::int64_t>(with_unit(parse_bytes, text, mark, path), key, node, mark, field, path);
        break;
      case Type::kCount:
        store<std::int64_t>(with_unit(parse_count, text, mark, path), key, node, mark, field, path);
        break;
      case Type::kDuration:
        store<double>(with_unit(parse_duration, text, mark, path), key, node, mark, field, path);
        break;
      case Type::kText:
        *static_cast<std::string*>(field) = text;
        break;
      case Type::kChoice:
        bind_choice(key, node, mark, *static_cast<std::string*>(field), path);
        break;
      default:
        ensure(false, "a scalar type");
    }
  }

  template <typename T>
  void store(std::optional<T> value, const Key& key, const Node& node, Mark mark, void* field,
             const std::string& path) const {
    if (!value || !in_range(static_cast<double>(*value), key.range)) {
      refuse_value(key, node, mark, path);
    }
    *static_cast<T*>(field) = *value;
  }

  template <typename T>
  std::optional<T> with_unit(T (*parse_quantity)(std::string_view), const std::string& text,
                             Mark mark, const std::string& path) const {
    try {
      return parse_quantity(text);
    } catch (const Error& error) {
      refuse(mark, path, "{}", error.what());
    }
  }

  void bind_choice(const Key& key, const Node& node, Mark mark, std::string& value,
                   const std::string& path) const {
    const auto has = [&](const std::vector<std::string>& values) {
      return std::find(values.begin(), values.end(), node.text) != values.end();
    };
    if (has(key.reserved_choices)) {
      refuse(mark, path, "'{}' is not available in this version of ingot; expected {}", node.text,
             expectation(key));
    }
    const bool named = !key.named_choice.empty() && node.text.starts_with(key.named_choice) &&
                       node.text.size() > key.named_choice.size();
    if (!named && !has(key.choices)) refuse_value(key, node, mark, path);
    value = node.text;
  }

  const Schema& root_;
  const Source& source_;
  Places& places_;
  std::string silent_path_;
};

}  // namespace

void bind(const Schema& schema, const Node& node, const Source& source, void* object,
          Places& places) {
  Binder(schema, source, places).bind_mapping(schema, node, object, "");
}

void bind_override(const Schema& schema, std::string_view argument, void* object, Places& places) {
  const Source source = {fmt::format("command line: {}", printable(argument)), false};
  const std::size_t equals = argument.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    fail(ExitCode::kUsage, "{}: expected section.key=value", source.name);
  }
  const std::string path(argument.substr(0, equals));
  const std::string_view value = argument.substr(equals + 1);
  Binder binder(schema, source, places, path);

  const Schema* level = &schema;
  std::string prefix;
  std::size_t start = 0;
  while (true) {
    const std::size_t dot = path.find('.', start);
    const Key& key = binder.known_key(
        *level, path.substr(start, dot == std::string::npos ? dot : dot - start), {}, prefix);
    object = key.field(object);
    prefix = join_path(prefix, key.name);
    if (dot == std::string::npos) {
      Node node = parse(value, source);
      if (value.empty()) {
        node.kind = NodeKind::kScalar;  // `run.dir=` empties a text
        node.quoted = true;
      }
      return binder.bind_value(key, node, {}, object, prefix);
    }
    if (key.type != Type::kMapping) {
      fail(ExitCode::kConfiguration, "{}: '{}' has no keys of its own; expected {}=value",
           source.name, prefix, prefix);
    }
    level = key.schema.get();
    start = dot + 1;
  }
}

}  // namespace ingot::yaml
