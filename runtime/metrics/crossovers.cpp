#include "runtime/metrics/crossovers.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>

#include "ops/base/error.hpp"
#include "ops/base/units.hpp"

namespace ingot {
namespace {

using Seconds = std::map<std::int64_t, double>;  ///< by bytes

/// What a transport takes for an operation; the faster of its figures where a size has several.
Seconds seconds_of(const std::vector<CollectiveFigure>& figures, int ranks,
                   std::string_view transport, std::string_view operation) {
  Seconds seconds;
  for (const CollectiveFigure& figure : figures) {
    if (figure.transport != transport || figure.operation != operation || figure.type != "f32" ||
        figure.ranks != ranks || figure.nodes != 1) {
      continue;
    }
    const auto [place, fresh] = seconds.emplace(figure.bytes, figure.seconds);
    if (!fresh) place->second = std::min(place->second, figure.seconds);
  }
  return seconds;
}

/// The largest size that both were measured at and up to which `first` was never the slower one; 0
/// where it was at the smallest; nothing where no size was measured with both.
std::optional<std::int64_t> crossover(const Seconds& first, const Seconds& second) {
  std::optional<std::int64_t> largest;
  for (const auto& [bytes, seconds] : first) {
    const auto other = second.find(bytes);
    if (other == second.end()) continue;
    if (!largest) largest = 0;
    if (seconds > other->second) break;
    largest = bytes;
  }
  return largest;
}

/// Of every size the faster one.
Seconds fastest(Seconds of, const Seconds& others) {
  for (const auto& [bytes, seconds] : others) {
    const auto [place, fresh] = of.emplace(bytes, seconds);
    if (!fresh) place->second = std::min(place->second, seconds);
  }
  return of;
}

}  // namespace

Crossovers crossovers_of(const std::vector<CollectiveFigure>& figures, int ranks) {
  Crossovers result;
  const auto of = [&](std::string_view transport, std::string_view operation) {
    return seconds_of(figures, ranks, transport, operation);
  };
  const auto set = [](std::int64_t& limit, const std::optional<std::int64_t>& measured) {
    if (measured) limit = *measured;
  };
  const Seconds one_shot = of("one_shot", "all_reduce");
  const Seconds two_shot = of("two_shot", "all_reduce");
  set(result.one_shot_bytes, crossover(one_shot, two_shot));
  set(result.direct.all_reduce, crossover(fastest(one_shot, two_shot), of("nccl", "all_reduce")));
  set(result.direct.reduce_scatter,
      crossover(of("one_shot", "reduce_scatter"), of("nccl", "reduce_scatter")));
  set(result.direct.all_gather, crossover(of("one_shot", "all_gather"), of("nccl", "all_gather")));
  return result;
}

Crossovers measured_crossovers(const Config& config, const MachineFigures& machine, int ranks) {
  try {
    return crossovers_of(measured_collectives(tuning_path(config.tuning), machine), ranks);
  } catch (const Error&) {
    if (!config.tuning.empty()) throw;
    return {};
  }
}

std::string text_of(const SizeLimits& limits) {
  return fmt::format("{} of an all_reduce, {} of a reduce_scatter, {} of an all_gather",
                     format_bytes(limits.all_reduce), format_bytes(limits.reduce_scatter),
                     format_bytes(limits.all_gather));
}

std::string text_of(const Crossovers& crossovers) {
  const SizeLimits& direct = crossovers.direct;
  return fmt::format("{} {} {} {}", crossovers.one_shot_bytes, direct.all_reduce,
                     direct.reduce_scatter, direct.all_gather);
}

Crossovers crossovers_from(const std::string& text) {
  std::istringstream stream(text);
  Crossovers crossovers;
  SizeLimits& direct = crossovers.direct;
  stream >> crossovers.one_shot_bytes >> direct.all_reduce >> direct.reduce_scatter >>
      direct.all_gather;
  ensure(!stream.fail(), "four numbers of crossovers");
  return crossovers;
}

}  // namespace ingot
