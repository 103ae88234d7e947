#include "ops/base/yaml/schema.hpp"

#include <fmt/format.h>

#include <cmath>

#include "ops/base/text.hpp"
#include "ops/base/units.hpp"

namespace ingot::yaml {

namespace {

std::string bound_text(Type type, double bound) {
  if (type == Type::kBytes) return format_bytes(static_cast<std::int64_t>(bound));
  if (type == Type::kDuration) return format_duration(bound);
  return fmt::format("{}", bound);
}

std::string range_text(Type type, const Range& range) {
  std::string text;
  if (std::isfinite(range.least)) {
    text = fmt::format(", {} {}", range.above_least ? "above" : "at least",
                       bound_text(type, range.least));
  }
  if (std::isfinite(range.most)) {
    text += fmt::format("{} {} {}", text.empty() ? "," : " and",
                        range.below_most ? "below" : "at most", bound_text(type, range.most));
  }
  return text;
}

}  // namespace

Key Key::required() && {
  is_required = true;
  return std::move(*this);
}

Key Key::only_with(std::string key, std::vector<std::string> values) && {
  conditions.push_back({std::move(key), std::move(values)});
  return std::move(*this);
}

Key Key::default_is(std::string text) && {
  default_text = std::move(text);
  return std::move(*this);
}

Key Key::reserve(std::vector<std::string> values) && {
  reserved_choices = std::move(values);
  return std::move(*this);
}

Key Key::or_named(std::string prefix) && {
  named_choice = std::move(prefix);
  return std::move(*this);
}

Key Key::or_word(std::string text, std::int64_t value) && {
  word = std::move(text);
  word_value = value;
  return std::move(*this);
}

Key reserved(std::string name) {
  Key key;
  key.name = std::move(name);
  key.type = Type::kReserved;
  return key;
}

std::string expectation(const Key& key) {
  switch (key.type) {
    case Type::kBoolean:
      return "true or false";
    case Type::kInteger:
      return "integer" + range_text(key.type, key.range) +
             (key.word.empty() ? "" : ", or " + key.word);
    case Type::kUnsigned:
      return "integer, at least 0";
    case Type::kReal:
      return "number" + range_text(key.type, key.range);
    case Type::kText:
      return "text";
    case Type::kChoice: {
      std::vector<std::string> choices = key.choices;
      if (!key.named_choice.empty()) choices.push_back(key.named_choice + "NAME");
      return join_alternatives(choices);
    }
    case Type::kBytes:
      return "size such as 16MiB" + range_text(key.type, key.range);
    case Type::kDuration:
      return "duration such as 30min" + range_text(key.type, key.range);
    case Type::kCount:
      return "count such as 1.2M" + range_text(key.type, key.range);
    case Type::kTextList:
      return "list of texts";
    case Type::kIntegerList: {
      const std::string range = range_text(Type::kInteger, key.range);
      return range.empty() ? "list of integers" : "list of integers, each" + range.substr(1);
    }
    case Type::kMapping:
      return "mapping";
    case Type::kMappingList:
      return "list of mappings";
    case Type::kReserved:
      return "nothing";
  }
  return "";
}

}  // namespace ingot::yaml
