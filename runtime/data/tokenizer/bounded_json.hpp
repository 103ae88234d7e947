// Reading JSON that nobody vouches for: file size, nesting and number of values are capped before
// memory is spent on them, and an object that names a key twice is refused instead of half
// believed.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace ingot {

/// What a tokenizer file may hold. The largest published ones take 35 MB and 1.3 million values.
struct JsonLimits {
  std::int64_t bytes = std::int64_t{128} << 20;
  std::int64_t depth = 32;
  std::int64_t values = std::int64_t{6} << 20;
};

/// The content of a regular file no larger than limits.bytes; otherwise fails with kBadData.
std::string read_bounded_file(const std::string& path, const JsonLimits& limits = {});

/// The value of `text`. Fails with kBadData, naming `origin` and the place, on text that is not
/// JSON, exceeds the limits or repeats a key.
nlohmann::json parse_bounded_json(std::string_view text, const std::string& origin,
                                  const JsonLimits& limits = {});

}  // namespace ingot
