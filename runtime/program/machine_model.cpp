#include "runtime/program/machine_model.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "ops/base/error.hpp"
#include "ops/base/text.hpp"
#include "ops/base/units.hpp"

namespace ingot {

namespace {

struct Preset {
  std::string_view name;
  LinkModel link;
};

constexpr double kMicro = 1e-6;
constexpr double kGiga = 1e9;
/// Of NCCL's rings with its protocol for short messages (LL): 6.6 us of a call, and by step 0.6 us
/// over NVLink, 1.0 over PCIe and 2.7 over a network.
constexpr double kCall = 6.6 * kMicro;
constexpr std::array<Preset, 7> kPresets = {{
    {"nvlink3", {kCall, 0.6 * kMicro, 300 * kGiga}},  // A100: 600 GB/s, both directions
    {"nvlink4", {kCall, 0.6 * kMicro, 450 * kGiga}},  // H100: 900 GB/s
    {"nvlink5", {kCall, 0.6 * kMicro, 900 * kGiga}},  // B200: 1800 GB/s
    {"pcie4", {kCall, 1.0 * kMicro, 32 * kGiga}},     // 16 lanes
    {"pcie5", {kCall, 1.0 * kMicro, 64 * kGiga}},
    {"hdr", {kCall, 2.7 * kMicro, 25 * kGiga}},  // InfiniBand, one adapter of 200 Gbit/s
    {"ndr", {kCall, 2.7 * kMicro, 50 * kGiga}},  // 400 Gbit/s
}};

struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array<Unit, 10> kRateUnits = {{{"B", 1},
                                              {"kB", 1e3},
                                              {"MB", 1e6},
                                              {"GB", 1e9},
                                              {"TB", 1e12},
                                              {"bit", 1.0 / 8},
                                              {"kbit", 1e3 / 8},
                                              {"Mbit", 1e6 / 8},
                                              {"Gbit", 1e9 / 8},
                                              {"Tbit", 1e12 / 8}}};

/// The number in front of a unit; nothing where there is none.
std::optional<double> split_number(std::string_view& text) {
  std::size_t end = 0;
  while (end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == '.')) ++end;
  const auto number = parse_real(text.substr(0, end));
  if (end < text.size() && text[end] == ' ') ++end;
  text.remove_prefix(end);
  return number;
}

double latency_named(const std::string& option, const std::string& text) {
  std::string_view unit = text;
  const auto number = split_number(unit);
  if (number && unit == "us") return *number * kMicro;
  try {
    return parse_duration(text);
  } catch (const Error& error) {
    fail(ExitCode::kUsage, "{}: the latency '{}' is not a duration; write it as 2us or 0.05ms",
         option, printable(text));
  }
}

/// "8xndr": the number of links, which is taken off the text; 1 where none is named.
double take_multiple(std::string_view& text) {
  std::string_view rest = text;
  const auto number = split_number(rest);
  if (!number || *number < 1 || !rest.starts_with('x')) return 1;
  text = rest.substr(1);
  return *number;
}

}  // namespace

std::string link_presets() {
  std::string names;
  for (const Preset& preset : kPresets) {
    names += (names.empty() ? "" : ", ") + std::string(preset.name);
  }
  return names;
}

double rate_named(const std::string& option, const std::string& text) {
  std::string_view unit = text;
  const auto number = split_number(unit);
  if (unit.ends_with("/s")) unit.remove_suffix(2);
  const auto known = std::ranges::find(kRateUnits, unit, &Unit::name);
  const double rate = number && known != kRateUnits.end() ? *number * known->factor : 0;
  if (rate >= 1) return rate;
  fail(ExitCode::kUsage,
       "{}: '{}' is not a bandwidth; write a number with kB/s, MB/s, GB/s, TB/s, Mbit/s or Gbit/s, "
       "such as 450GB/s",
       option, printable(text));
}

LinkModel link_named(const std::string& option, const std::string& text) {
  if (const auto comma = text.find(','); comma != std::string::npos) {
    LinkModel link;
    link.latency = latency_named(option, text.substr(0, comma));
    link.bandwidth = rate_named(option, text.substr(comma + 1));
    return link;
  }
  std::string_view name = text;
  const double links = take_multiple(name);
  const auto preset = std::ranges::find(kPresets, name, &Preset::name);
  if (preset == kPresets.end()) {
    fail(ExitCode::kUsage,
         "{}: no link is called '{}'; expected one of {}, several such as 8xndr, or "
         "LATENCY,BANDWIDTH such as 2us,450GB/s",
         option, printable(text), link_presets());
  }
  LinkModel link = preset->link;
  link.bandwidth *= links;
  return link;
}

std::optional<LinkModel> fit_link(std::span<const MeasuredExchange> measured, std::int64_t ranks) {
  if (measured.empty() || ranks < 2) return {};
  const auto [least, most] = std::ranges::minmax_element(measured, {}, &MeasuredExchange::bytes);
  const double more = most->seconds - least->seconds;
  if (least->bytes == most->bytes || more <= 0) return {};
  const double others = static_cast<double>(ranks - 1);
  const auto sent = [&](std::int64_t bytes) {
    return 2 * others / static_cast<double>(ranks) * static_cast<double>(bytes);
  };
  LinkModel link;
  link.bandwidth = (sent(most->bytes) - sent(least->bytes)) / more;
  link.latency = std::max(0.0, least->seconds - sent(least->bytes) / link.bandwidth) / (2 * others);
  return link;
}

}  // namespace ingot
