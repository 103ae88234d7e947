#include "ops/base/units.hpp"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <span>
#include <system_error>

#include "ops/base/error.hpp"
#include "ops/base/text.hpp"

namespace ingot {

namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array<Unit, 10> kByteUnits = {{{"", 1},
                                              {"B", 1},
                                              {"KiB", 0x1p10},
                                              {"MiB", 0x1p20},
                                              {"GiB", 0x1p30},
                                              {"TiB", 0x1p40},
                                              {"kB", 1e3},
                                              {"MB", 1e6},
                                              {"GB", 1e9},
                                              {"TB", 1e12}}};
constexpr std::array<Unit, 5> kDurationUnits = {
    {{"ms", 1e-3}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}}};
constexpr std::array<Unit, 6> kCountUnits = {
    {{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"B", 1e9}, {"T", 1e12}}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Whether the digits at the front are "0" or do not start with 0.
bool no_leading_zero(std::string_view digits) {
  return digits.size() < 2 || digits[0] != '0' || !is_digit(digits[1]);
}

struct Quantity {
  double number = 0;
  std::string_view digits;
  std::string_view unit;
};

/// Splits "1.5 GiB" into number and unit; numbers have no sign and no exponent here.
std::optional<Quantity> split_quantity(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && (is_digit(text[end]) || text[end] == '.')) ++end;
  Quantity quantity;
  quantity.digits = text.substr(0, end);
  const auto number = parse_real(quantity.digits);
  if (!number) return std::nullopt;
  quantity.number = *number;
  if (end < text.size() && text[end] == ' ') ++end;
  quantity.unit = text.substr(end);
  return quantity;
}

std::optional<double> factor_of(std::string_view unit, std::span<const Unit> units) {
  for (const Unit& candidate : units) {
    if (candidate.name == unit) return candidate.factor;
  }
  return std::nullopt;
}

std::optional<std::int64_t> whole_quantity(std::string_view text, std::span<const Unit> units) {
  const auto quantity = split_quantity(text);
  if (!quantity) return std::nullopt;
  const auto factor = factor_of(quantity->unit, units);
  if (!factor) return std::nullopt;
  // Integers stay integers: doubles are exact only up to 2^53.
  if (const auto integer = parse_integer(quantity->digits)) {
    std::int64_t result = 0;
    const bool overflow =
        __builtin_mul_overflow(*integer, static_cast<std::int64_t>(*factor), &result);
    return overflow ? std::nullopt : std::optional(result);
  }
  const double value = quantity->number * *factor;
  const double rounded = std::round(value);
  // "1.2M" is 1200000 though 1.2 is not exact in binary: a relative error of rounding is allowed.
  if (rounded >= 0x1p53 || std::abs(value - rounded) > 1e-9 * rounded) return std::nullopt;
  return static_cast<std::int64_t>(rounded);
}

template <typename T>
std::optional<T> from_text(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Three significant digits: 1.23, 12.3, 123.
std::string three_digits(double value) {
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}", value, decimals);
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
  if (!text.empty() && text[0] == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text[0] == '-') return std::nullopt;
  }
  const std::string_view digits = !text.empty() && text[0] == '-' ? text.substr(1) : text;
  if (digits.empty() || !is_digit(digits[0]) || !no_leading_zero(digits)) return std::nullopt;
  return from_text<std::int64_t>(text);
}

std::optional<std::uint64_t> parse_unsigned(std::string_view text) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  if (text.empty() || !is_digit(text[0]) || !no_leading_zero(text)) return std::nullopt;
  return from_text<std::uint64_t>(text);
}

std::optional<double> parse_real(std::string_view text) {
  if (!text.empty() && text[0] == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text[0] == '-') return std::nullopt;
  }
  std::string_view rest = !text.empty() && text[0] == '-' ? text.substr(1) : text;
  // from_chars would take "inf", "nan" and hexadecimal floats' digits; only decimals go on.
  if (rest.empty() || !(is_digit(rest[0]) || (rest[0] == '.' && rest.size() > 1))) {
    return std::nullopt;
  }
  if (!no_leading_zero(rest)) return std::nullopt;
  if (rest[0] == '.' && !is_digit(rest[1])) return std::nullopt;
  const auto value = from_text<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

std::int64_t parse_bytes(std::string_view text) {
  const auto bytes = whole_quantity(text, kByteUnits);
  if (!bytes) {
    fail(ExitCode::kUsage,
         "'{}' is not a size in bytes; write a whole number of bytes, or a number with KiB, MiB, "
         "GiB, TiB, kB, MB, GB or TB, such as 16MiB",
         printable(text));
  }
  return *bytes;
}

double parse_duration(std::string_view text) {
  const auto quantity = split_quantity(text);
  if (quantity) {
    if (quantity->unit.empty() && quantity->number == 0) return 0;
    const auto factor = factor_of(quantity->unit, kDurationUnits);
    const double seconds = factor ? quantity->number * *factor : 0;
    if (factor && std::isfinite(seconds)) return seconds;
  }
  fail(ExitCode::kUsage,
       "'{}' is not a duration; write a number with ms, s, min, h or d, such as {}",
       printable(text),
       quantity && quantity->unit.empty() ? fmt::format("{}s", quantity->digits) : "30min");
}

std::int64_t parse_count(std::string_view text) {
  const auto count = whole_quantity(text, kCountUnits);
  if (!count) {
    fail(ExitCode::kUsage,
         "'{}' is not a count; write a whole number, or one with k, M, G, B or T, such as 1.2M",
         printable(text));
  }
  return *count;
}

std::string format_bytes(std::int64_t bytes) {
  constexpr std::array<std::string_view, 4> kNames = {"TiB", "GiB", "MiB", "KiB"};
  std::int64_t unit = std::int64_t{1} << 40;
  for (const std::string_view name : kNames) {
    if (bytes != 0 && bytes % unit == 0) return fmt::format("{}{}", bytes / unit, name);
    unit >>= 10;
  }
  return fmt::format("{}", bytes);
}

std::string format_duration(double seconds) {
  if (seconds == 0) return "0";
  constexpr std::array<Unit, 3> kUnits = {{{"d", 86400}, {"h", 3600}, {"min", 60}}};
  for (const Unit& unit : kUnits) {
    // Products of whole numbers below 2^53 are exact.
    if (seconds < 0x1p53 && std::fmod(seconds, unit.factor) == 0) {
      return fmt::format("{}{}", static_cast<std::int64_t>(seconds / unit.factor), unit.name);
    }
  }
  // Units take no exponent: all digits, of which the shortest that read back are few.
  std::array<char, 512> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), seconds,
                                 std::chars_format::fixed);
  return std::string(buffer.data(), end.ptr) + "s";
}

std::string format_count(std::int64_t count) {
  return fmt::format("{}", count);
}

std::string approximate_bytes(double bytes) {
  constexpr std::array<std::string_view, 5> kNames = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < kNames.size()) bytes /= 1024, ++unit;
  if (unit == 0) return fmt::format("{:.0f} B", bytes);
  return fmt::format("{} {}", three_digits(bytes), kNames[unit]);
}

std::string approximate_duration(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "-";
  if (seconds < 60) return fmt::format("{:.0f} s", std::floor(seconds));
  const auto total = static_cast<std::int64_t>(seconds);
  const std::int64_t hours = total / 3600;
  if (hours == 0) return fmt::format("{}:{:02}", total / 60, total % 60);
  return fmt::format("{}:{:02}:{:02}", hours, total / 60 % 60, total % 60);
}

std::string approximate_count(double count) {
  constexpr std::array<std::string_view, 5> kNames = {"", "k", "M", "G", "T"};
  std::size_t unit = 0;
  while (count >= 999.5 && unit + 1 < kNames.size()) count /= 1000, ++unit;
  if (unit == 0) return fmt::format("{:.0f}", count);
  return fmt::format("{}{}", three_digits(count), kNames[unit]);
}

}  // namespace ingot
