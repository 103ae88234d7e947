// Writing: structs as YAML, and a schema's table as the reference page.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "ops/base/error.hpp"
#include "ops/base/text.hpp"
#include "ops/base/units.hpp"
#include "ops/base/yaml/schema.hpp"

namespace ingot::yaml {

namespace {

/// The member of a const struct; Key::field has one signature for reading and writing.
const void* field_of(const Key& key, const void* object) {
  return key.field(const_cast<void*>(object));
}

template <typename T>
const T& as(const void* field) {
  return *static_cast<const T*>(field);
}

/// A value in one line of YAML.
std::string value_text(const Key& key, const void* field) {
  std::vector<std::string> items;
  switch (key.type) {
    case Type::kBoolean:
      return as<bool>(field) ? "true" : "false";
    case Type::kInteger:
      if (!key.word.empty() && as<std::int64_t>(field) == key.word_value) return key.word;
      return fmt::format("{}", as<std::int64_t>(field));
    case Type::kUnsigned:
      return fmt::format("{}", as<std::uint64_t>(field));
    case Type::kReal:
      return fmt::format("{}", as<double>(field));
    case Type::kText:
    case Type::kChoice:
      return quote(as<std::string>(field));
    case Type::kBytes:
      return format_bytes(as<std::int64_t>(field));
    case Type::kCount:
      return format_count(as<std::int64_t>(field));
    case Type::kDuration:
      return format_duration(as<double>(field));
    case Type::kTextList:
      for (const auto& item : as<std::vector<std::string>>(field)) items.push_back(quote(item));
      return fmt::format("[{}]", fmt::join(items, ", "));
    case Type::kIntegerList:
      return fmt::format("[{}]", fmt::join(as<std::vector<std::int64_t>>(field), ", "));
    default:
      ensure(false, "a value of one line");
      return "";
  }
}

struct Found {
  const Key* key = nullptr;
  const void* field = nullptr;
};

/// The scalar behind a dotted key of the root struct.
Found find(const Schema& schema, const void* object, std::string_view path) {
  const std::size_t dot = path.find('.');
  for (const Key& key : schema.keys) {
    if (key.name != path.substr(0, dot)) continue;
    const void* field = field_of(key, object);
    if (dot == std::string_view::npos) return {&key, field};
    return find(*key.schema, field, path.substr(dot + 1));
  }
  ensure(false, "a condition on a key that exists");
  return {};
}

/// The first condition of the key that does not hold.
const Condition* broken_condition(const Key& key, const Schema& root, const void* object) {
  for (const Condition& condition : key.conditions) {
    const Found found = find(root, object, condition.key);
    const std::string value = value_text(*found.key, found.field);
    if (std::find(condition.values.begin(), condition.values.end(), value) ==
        condition.values.end()) {
      return &condition;
    }
  }
  return nullptr;
}

void check_conditions_below(const Schema& schema, const std::string& prefix, const Schema& root,
                            const void* object, const Places& places) {
  for (const Key& key : schema.keys) {
    const std::string path = prefix + key.name;
    if (key.type == Type::kMapping) {
      check_conditions_below(*key.schema, path + ".", root, object, places);
    }
    const auto place = places.find(path);
    if (place == places.end()) continue;
    if (const Condition* condition = broken_condition(key, root, object)) {
      const Found found = find(root, object, condition->key);
      fail(ExitCode::kConfiguration,
           "{}: {} means nothing where {} is {}; remove it, or set {} to {}", place->second, path,
           condition->key, value_text(*found.key, found.field), condition->key,
           join_alternatives(condition->values));
    }
  }
}

void check_required_below(const Schema& schema, const std::string& prefix, const Places& places,
                          const std::string& name) {
  for (const Key& key : schema.keys) {
    const std::string path = prefix + key.name;
    if (key.type == Type::kMapping) check_required_below(*key.schema, path + ".", places, name);
    if (key.is_required && !places.contains(path)) {
      fail(ExitCode::kConfiguration, "{}: key '{}' is missing; expected {}", name, path,
           expectation(key));
    }
  }
}

std::string render_list(const Key& key, const void* list, const std::string& indent) {
  const std::size_t size = key.list.size(list);
  if (size == 0) return " []\n";
  std::string text = "\n";
  for (std::size_t i = 0; i < size; ++i) {
    const char* lead = "- ";
    for (const Key& member : key.schema->keys) {
      if (member.type == Type::kReserved) continue;
      text += fmt::format("{}{}{}: {}\n", indent, lead, member.name,
                          value_text(member, field_of(member, key.list.at(list, i))));
      lead = "  ";
    }
  }
  return text;
}

std::string render_below(const Schema& schema, const void* object, const Schema& root,
                         const void* root_object, const std::string& indent) {
  std::string text;
  for (const Key& key : schema.keys) {
    if (key.type == Type::kReserved || broken_condition(key, root, root_object)) continue;
    const void* field = field_of(key, object);
    if (key.type == Type::kMapping) {
      const std::string inside = render_below(*key.schema, field, root, root_object, indent + "  ");
      if (!inside.empty()) text += fmt::format("{}{}:\n{}", indent, key.name, inside);
    } else if (key.type == Type::kMappingList) {
      text += fmt::format("{}{}:{}", indent, key.name, render_list(key, field, indent + "  "));
    } else {
      text += fmt::format("{}{}: {}\n", indent, key.name, value_text(key, field));
    }
  }
  return text;
}

std::string default_text(const Key& key, const void* object) {
  if (key.is_required) return "required";
  if (!key.default_text.empty()) return key.default_text;
  if (key.type == Type::kMappingList) return "none";
  const std::string text = value_text(key, field_of(key, object));
  if (text == "\"\"" || text == "[]") return "none";
  return fmt::format("`{}`", text);
}

std::string condition_text(const Key& key) {
  std::string text;
  for (const Condition& condition : key.conditions) {
    text += fmt::format("{}`{}: {}`", text.empty() ? " Only with " : " and ", condition.key,
                        join_alternatives(condition.values));
  }
  return text.empty() ? text : text + ".";
}

void render_tables(const Schema& schema, const void* object, const std::string& prefix,
                   std::string& text, std::vector<std::string>& reserved_keys) {
  std::string rows;
  std::string below;
  for (const Key& key : schema.keys) {
    const std::string path = prefix + key.name;
    for (const std::string& value : key.reserved_choices) {
      reserved_keys.push_back(fmt::format("`{}: {}`", path, value));
    }
    if (key.type == Type::kReserved) {
      reserved_keys.push_back(fmt::format("`{}`", path));
    } else if (key.type == Type::kMapping) {
      below += fmt::format("\n## {}\n\n{}\n", path, key.schema->description);
      render_tables(*key.schema, field_of(key, object), path + ".", below, reserved_keys);
    } else {
      rows += fmt::format("| `{}` | {} | {} | {}{} |\n", path, expectation(key),
                          default_text(key, object), key.description, condition_text(key));
      if (key.type == Type::kMappingList) {
        const auto element = key.schema;
        for (const Key& member : element->keys) {
          rows +=
              fmt::format("| `{}[].{}` | {} | {} | {} |\n", path, member.name, expectation(member),
                          member.is_required ? "required" : "see text", member.description);
        }
      }
    }
  }
  if (!rows.empty()) text += "\n| key | value | default | meaning |\n|---|---|---|---|\n" + rows;
  text += below;
}

}  // namespace

void check_required(const Schema& schema, const Places& places, const std::string& name) {
  check_required_below(schema, "", places, name);
}

void check_conditions(const Schema& schema, const void* object, const Places& places) {
  check_conditions_below(schema, "", schema, object, places);
}

std::string render(const Schema& schema, const void* object) {
  return render_below(schema, object, schema, object, "");
}

std::string render_reference(const Schema& schema, const void* object) {
  std::vector<std::string> reserved_keys;
  std::string text = fmt::format("# {}\n\n{}\n", schema.title, schema.description);
  render_tables(schema, object, "", text, reserved_keys);
  if (!reserved_keys.empty()) {
    text += fmt::format(
        "\n## Reserved\n\nThese belong to later versions and are refused as not available: {}.\n",
        fmt::join(reserved_keys, ", "));
  }
  return text;
}

}  // namespace ingot::yaml
