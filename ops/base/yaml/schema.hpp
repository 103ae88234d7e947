// A schema is a table of keys that binds a YAML mapping to a struct. The same table reads and
// checks the YAML, writes it back, and renders the reference page, so the three cannot disagree.
//
//   Schema schema = {"train", "When training ends.", {
//       integer("steps", &TrainConfig::steps, {.least = 0}, "optimizer steps; 0: no limit"),
//       choice("precision", &TrainConfig::precision, {"f32", "bf16"}, "...")}};
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ops/base/yaml/document.hpp"

namespace ingot::yaml {

struct Schema;

enum class Type : std::uint8_t {
  kBoolean,
  kInteger,   ///< std::int64_t
  kUnsigned,  ///< std::uint64_t
  kReal,      ///< double, finite
  kText,
  kChoice,    ///< std::string, one of a set
  kBytes,     ///< std::int64_t, "16MiB"
  kDuration,  ///< double seconds, "30min"
  kCount,     ///< std::int64_t, "1.2M"
  kTextList,
  kIntegerList,
  kMapping,      ///< a struct with its own schema
  kMappingList,  ///< a vector of structs
  kReserved      ///< belongs to a later version; always refused
};

/// Bounds of a number or of a list's elements, both included unless said otherwise.
struct Range {
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  bool above_least = false;  ///< `least` itself is excluded
  bool below_most = false;   ///< `most` itself is excluded
};

/// The vector behind a kMappingList, without its element type.
struct ListAccess {
  std::function<void(void* list)> clear;
  std::function<void*(void* list)> append;
  std::function<std::size_t(const void* list)> size;
  std::function<const void*(const void* list, std::size_t index)> at;
};

/// That a key means something only where another key has one of these values.
struct Condition {
  std::string key;  ///< dotted, from the root: "model.kind"
  std::vector<std::string> values;
};

/// One row of the table. Made by the functions below, refined by required() and only_with().
struct Key {
  std::string name;
  Type type = Type::kText;
  std::string description;
  std::function<void*(void* object)> field;  ///< address of the member inside its struct
  Range range;
  std::vector<std::string> choices;
  std::vector<std::string> reserved_choices;  ///< values of a later version
  std::string named_choice;  ///< "custom:": this and a name is a choice too; empty: there is none
  std::string word;  ///< "auto": written instead of an integer outside of the range; empty: none
  std::int64_t word_value = 0;           ///< what the word stands for
  std::shared_ptr<const Schema> schema;  ///< of a mapping or the elements of a list
  ListAccess list;
  bool is_required = false;
  std::vector<Condition> conditions;
  std::string default_text;  ///< shown instead of the default, where that is computed

  Key required() &&;
  /// All conditions of a key have to hold.
  Key only_with(std::string key, std::vector<std::string> values) &&;
  /// "as `heads`", "`runs/` and the name"
  Key default_is(std::string text) &&;
  Key reserve(std::vector<std::string> values) &&;
  /// A choice beside those listed: `prefix` and a name that is checked where its meaning is known.
  Key or_named(std::string prefix) &&;
  /// A word that may stand where an integer is expected, and the value that is stored for it.
  Key or_word(std::string word, std::int64_t value) &&;
};

struct Schema {
  std::string title;
  std::string description;
  std::vector<Key> keys;
};

namespace detail {

template <typename Struct, typename Member>
std::function<void*(void*)> field_of(Member Struct::*member) {
  return [member](void* object) -> void* { return &(static_cast<Struct*>(object)->*member); };
}

template <typename Struct, typename Member>
Key make_key(std::string name, Type type, Member Struct::*member, std::string description) {
  Key key;
  key.name = std::move(name);
  key.type = type;
  key.description = std::move(description);
  key.field = field_of(member);
  return key;
}

}  // namespace detail

template <typename S>
Key boolean(std::string name, bool S::*member, std::string description) {
  return detail::make_key(std::move(name), Type::kBoolean, member, std::move(description));
}
template <typename S>
Key integer(std::string name, std::int64_t S::*member, Range range, std::string description) {
  Key key = detail::make_key(std::move(name), Type::kInteger, member, std::move(description));
  key.range = range;
  return key;
}
template <typename S>
Key unsigned_integer(std::string name, std::uint64_t S::*member, std::string description) {
  return detail::make_key(std::move(name), Type::kUnsigned, member, std::move(description));
}
template <typename S>
Key real(std::string name, double S::*member, Range range, std::string description) {
  Key key = detail::make_key(std::move(name), Type::kReal, member, std::move(description));
  key.range = range;
  return key;
}
template <typename S>
Key text(std::string name, std::string S::*member, std::string description) {
  return detail::make_key(std::move(name), Type::kText, member, std::move(description));
}
template <typename S>
Key choice(std::string name, std::string S::*member, std::vector<std::string> values,
           std::string description) {
  Key key = detail::make_key(std::move(name), Type::kChoice, member, std::move(description));
  key.choices = std::move(values);
  return key;
}
template <typename S>
Key bytes(std::string name, std::int64_t S::*member, Range range, std::string description) {
  Key key = detail::make_key(std::move(name), Type::kBytes, member, std::move(description));
  key.range = range;
  return key;
}
template <typename S>
Key duration(std::string name, double S::*member, Range range, std::string description) {
  Key key = detail::make_key(std::move(name), Type::kDuration, member, std::move(description));
  key.range = range;
  return key;
}
template <typename S>
Key count(std::string name, std::int64_t S::*member, Range range, std::string description) {
  Key key = detail::make_key(std::move(name), Type::kCount, member, std::move(description));
  key.range = range;
  return key;
}
template <typename S>
Key text_list(std::string name, std::vector<std::string> S::*member, std::string description) {
  return detail::make_key(std::move(name), Type::kTextList, member, std::move(description));
}
template <typename S>
Key integer_list(std::string name, std::vector<std::int64_t> S::*member, Range range,
                 std::string description) {
  Key key = detail::make_key(std::move(name), Type::kIntegerList, member, std::move(description));
  key.range = range;
  return key;
}
template <typename S, typename Member>
Key mapping(std::string name, Member S::*member, Schema schema) {
  Key key = detail::make_key(std::move(name), Type::kMapping, member, schema.description);
  key.schema = std::make_shared<const Schema>(std::move(schema));
  return key;
}
template <typename S, typename Element>
Key mapping_list(std::string name, std::vector<Element> S::*member, Schema schema) {
  Key key = detail::make_key(std::move(name), Type::kMappingList, member, schema.description);
  key.schema = std::make_shared<const Schema>(std::move(schema));
  using List = std::vector<Element>;
  key.list.clear = [](void* list) { static_cast<List*>(list)->clear(); };
  key.list.append = [](void* list) -> void* { return &static_cast<List*>(list)->emplace_back(); };
  key.list.size = [](const void* list) { return static_cast<const List*>(list)->size(); };
  key.list.at = [](const void* list, std::size_t index) -> const void* {
    return &(*static_cast<const List*>(list))[index];
  };
  return key;
}
/// A key whose name is taken for a later version.
Key reserved(std::string name);

/// Dotted key -> place, for each key that was written down.
using Places = std::map<std::string, std::string, std::less<>>;

/// Stores what the mapping says into the struct that `object` points to, which must be of the
/// schema's type; keys that are not mentioned keep their values. Throws Error(kConfiguration) at
/// the first problem. `places` collects where each key was set. Call it as yaml::bind: without the
/// namespace, argument-dependent lookup prefers std::bind, which compiles and does nothing.
void bind(const Schema& schema, const Node& node, const Source& source, void* object,
          Places& places);

/// Applies `section.key=value`; the value is a YAML scalar or flow collection. Throws Error(kUsage)
/// where there is no key or `=`, else Error(kConfiguration), both naming the argument.
void bind_override(const Schema& schema, std::string_view argument, void* object, Places& places);

/// Checks that keys marked as required were set. `name` is the document's.
void check_required(const Schema& schema, const Places& places, const std::string& name);

/// Checks that keys that were set mean something beside the values of the others; `object` is the
/// root struct. Throws Error(kConfiguration).
void check_conditions(const Schema& schema, const void* object, const Places& places);

/// The struct as YAML with every key that means something; bind() reads it back to the
/// same values.
std::string render(const Schema& schema, const void* object);

/// The reference of all keys as markdown tables; defaults are those of `object`.
std::string render_reference(const Schema& schema, const void* object);

/// "integer, at least 1", "f32 or bf16", for messages and the reference.
std::string expectation(const Key& key);

}  // namespace ingot::yaml
