#include "launcher/plan_machine.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <tuple>
#include <utility>

#include "ops/base/units.hpp"

namespace ingot {
namespace {

/// What the tuning file has of the device; empty figures where it has nothing.
MachineFigures measured_machine(const Config& config, const MachineFigures& here) {
  try {
    for (MachineFigures& known : read_tuning(tuning_path(config.tuning))) {
      const bool same = known.processor == here.processor && known.isa == here.isa &&
                        known.threads == here.threads;
      if (same) return std::move(known);
    }
  } catch (const Error&) {
    if (!config.tuning.empty()) throw;  // the default file is a cache
  }
  return {};
}

double flops_named(const std::string& text) {
  std::int64_t flops = 0;
  try {
    flops = parse_count(text);
  } catch (const Error& error) {
    fail(ExitCode::kUsage, "--flops: {}", error.what());
  }
  if (flops < 1) fail(ExitCode::kUsage, "--flops: '{}' is no rate; expected such as 989T", text);
  return static_cast<double>(flops);
}

}  // namespace

std::optional<LinkModel> measured_link(const std::vector<CollectiveFigure>& figures, bool across,
                                       std::int64_t ranks) {
  // By distance of the number of ranks, then by transport, number of nodes and kind of memory.
  using Key = std::tuple<std::int64_t, std::int64_t, std::string, std::int64_t, bool>;
  std::map<Key, std::vector<MeasuredExchange>> groups;
  for (const CollectiveFigure& figure : figures) {
    if (figure.operation != "all_reduce" || figure.type != "f32") continue;
    if ((figure.nodes > 1) != across) continue;
    groups[{std::abs(figure.ranks - ranks), figure.ranks, figure.transport, figure.nodes,
            figure.shared}]
        .push_back({figure.bytes, figure.seconds});
  }
  std::optional<LinkModel> best;
  std::int64_t distance = 0;
  for (const auto& [key, measured] : groups) {
    if (best && std::get<0>(key) > distance) break;
    const auto link = fit_link(measured, std::get<1>(key));
    if (!link || (best && best->bandwidth >= link->bandwidth)) continue;
    best = link;
    distance = std::get<0>(key);
  }
  return best;
}

PlanMachine plan_machine(const PlanOptions& options, const Config& config,
                         const std::optional<MachineFigures>& here, int ranks_per_node) {
  const MachineFigures known = here ? measured_machine(config, *here) : MachineFigures{};
  PlanMachine machine;
  MachineModel& model = machine.model;
  const auto note = [](std::string& source, const char* text, bool there) {
    if (there) source = text;
  };
  model.matrix_flops = config.train.precision == "bf16" ? known.matrix_bf16 : known.matrix_f32;
  model.memory_bandwidth = known.copy;
  model.link = measured_link(known.collectives, false, ranks_per_node);
  model.network = measured_link(known.collectives, true, options.ranks);
  note(machine.flops, "measured", model.matrix_flops > 0);
  note(machine.bandwidth, "measured", model.memory_bandwidth > 0);
  note(machine.link, "measured", model.link.has_value());
  note(machine.network, "measured", model.network.has_value());
  if (!options.flops.empty()) model.matrix_flops = flops_named(options.flops);
  if (!options.bandwidth.empty()) {
    model.memory_bandwidth = rate_named("--bandwidth", options.bandwidth);
  }
  if (!options.link.empty()) model.link = link_named("--link", options.link);
  if (!options.network.empty()) model.network = link_named("--network", options.network);
  note(machine.flops, "--flops", !options.flops.empty());
  note(machine.bandwidth, "--bandwidth", !options.bandwidth.empty());
  note(machine.link, "--link", !options.link.empty());
  note(machine.network, "--network", !options.network.empty());
  return machine;
}

}  // namespace ingot
