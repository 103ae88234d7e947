// Small helpers on text that several floors need: the nearest of a set of names for "did you mean",
// and validity of UTF-8, which untrusted files are checked for before anything prints them.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ingot {

/// Number of single-character insertions, deletions, replacements and swaps of neighbours that turn
/// one text into the other (optimal string alignment distance). Time a.size() * b.size().
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The name nearest to `text`, if one is near enough to be what was meant (at most a third of the
/// longer text's length away, at least one edit allowed); the first of several equally near ones.
std::optional<std::string> nearest_name(std::string_view text, std::span<const std::string> names);

/// "; did you mean 'model'?" or nothing, to be appended to an error message.
std::string did_you_mean(std::string_view text, std::span<const std::string> names);

/// Offset of the first byte that is not part of well-formed UTF-8 (overlong forms, surrogates and
/// values above U+10FFFF are malformed), or text.size().
std::size_t invalid_utf8_offset(std::string_view text);

/// The text as it can be printed in a message: control characters and malformed bytes as \xNN, cut
/// after `limit` characters with "...".
std::string printable(std::string_view text, std::size_t limit = 80);

/// Words joined by commas and a final "or": "a, b or c".
std::string join_alternatives(std::span<const std::string> words);

}  // namespace ingot
