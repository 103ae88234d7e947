// Typed, checked access to the fields of untrusted JSON objects: a missing field or one of another
// type or range is Error(kCheckpoint) naming file and field.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "ops/base/error.hpp"

namespace ingot {

class JsonFields {
 public:
  /// `value` outlives this object. `place` is what messages call it: "manifest.json: training".
  JsonFields(const nlohmann::json& value, std::string place)
      : value_(value), place_(std::move(place)) {
    if (!value.is_object()) {
      fail(ExitCode::kCheckpoint, "{}: is {}, expected an object", place_, value.type_name());
    }
  }

  const nlohmann::json& at(const char* name) const {
    const auto found = value_.find(name);
    if (found == value_.end()) fail(ExitCode::kCheckpoint, "{}: lacks '{}'", place_, name);
    return *found;
  }

  std::int64_t integer(const char* name, std::int64_t least, std::int64_t most) const {
    const nlohmann::json& field = at(name);
    if (!field.is_number_integer()) refuse(name, field.type_name(), "a whole number");
    const bool above =
        field.is_number_unsigned() && field.get<std::uint64_t>() > static_cast<std::uint64_t>(most);
    if (above || field.get<std::int64_t>() < least || field.get<std::int64_t>() > most) {
      refuse(name, field.dump(), fmt::format("between {} and {}", least, most));
    }
    return field.get<std::int64_t>();
  }

  std::uint64_t unsigned_integer(const char* name) const {
    const nlohmann::json& field = at(name);
    if (!field.is_number_unsigned()) refuse(name, field.type_name(), "a number from 0 on");
    return field.get<std::uint64_t>();
  }

  std::string text(const char* name, std::size_t longest) const {
    const nlohmann::json& field = at(name);
    if (!field.is_string()) refuse(name, field.type_name(), "a text");
    const auto& text = field.get_ref<const std::string&>();
    if (text.size() > longest) {
      refuse(name, fmt::format("{} bytes long", text.size()), fmt::format("at most {}", longest));
    }
    return text;
  }

  const nlohmann::json& array(const char* name, std::size_t longest) const {
    const nlohmann::json& field = at(name);
    if (!field.is_array()) refuse(name, field.type_name(), "a list");
    if (field.size() > longest) {
      refuse(name, fmt::format("{} entries", field.size()), fmt::format("at most {}", longest));
    }
    return field;
  }

  JsonFields object(const char* name) const { return {at(name), place_ + ": " + name}; }
  const std::string& place() const { return place_; }

  template <typename Found, typename Expected>
  [[noreturn]] void refuse(const char* name, const Found& found, const Expected& expected) const {
    fail(ExitCode::kCheckpoint, "{}: '{}' is {}, expected {}", place_, name, found, expected);
  }

 private:
  const nlohmann::json& value_;
  std::string place_;
};

}  // namespace ingot
