// Quantities with units as people write them: byte sizes, durations and counts. Parsing is strict
// (the whole text, a known unit, no overflow) and formatting reads back to the same value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ingot {

/// "4194304", "4MiB", "1.5 GiB", "64kB": KiB, MiB, GiB, TiB are powers of 1024; kB, MB, GB, TB
/// powers of 1000; B or no unit is bytes. The result must be a whole number of bytes. Throws
/// Error(kUsage) saying what was found and what is accepted.
std::int64_t parse_bytes(std::string_view text);

/// "90s", "1.5 h", "250ms", "30min", "2d" in seconds; a unit is required except for 0. Throws
/// Error(kUsage).
double parse_duration(std::string_view text);

/// "1200000", "1.2M", "3k", "2G" (also "B" for billion), "1T": decimal multiples. The result must
/// be a whole number. Throws Error(kUsage).
std::int64_t parse_count(std::string_view text);

/// Largest binary unit that divides the size: "64KiB", "1000".
std::string format_bytes(std::int64_t bytes);
/// Largest of d, h, min, s that divides the duration, else seconds: "30min", "0.25s", "0".
std::string format_duration(double seconds);
/// Decimal digits, no unit: reads back anywhere.
std::string format_count(std::int64_t count);

/// For tables: three significant digits, "1.50 GiB".
std::string approximate_bytes(double bytes);
/// For progress lines: "1:02:03", "4:05", "12 s".
std::string approximate_duration(double seconds);
/// For tables: three significant digits, "1.20M".
std::string approximate_count(double count);

/// Strict numbers, the grammar of YAML 1.2 without its special forms: no hexadecimal, no leading
/// zeros ("08"), no infinities or NaN. nullopt where the text is no such number or overflows.
std::optional<std::int64_t> parse_integer(std::string_view text);
std::optional<std::uint64_t> parse_unsigned(std::string_view text);
std::optional<double> parse_real(std::string_view text);

}  // namespace ingot
