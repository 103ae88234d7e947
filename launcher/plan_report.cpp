#include "launcher/plan_report.hpp"

#include <algorithm>

#include "ops/base/units.hpp"
#include "runtime/metrics/table.hpp"

namespace ingot {

namespace {

using nlohmann::ordered_json;

std::string approximate(std::int64_t bytes) {
  return approximate_bytes(static_cast<double>(bytes));
}

std::string plural(std::int64_t count, const char* what) {
  return fmt::format("{} {}{}", with_separators(count), what, count == 1 ? "" : "s");
}

std::string render_head(const PlanReport& report) {
  Table table({{"plan"}, {report.config}});
  table.add({"ranks", fmt::format("{} ({} per node)", report.ranks, report.ranks_per_node)});
  table.add({"device", report.device});
  table.add(
      {"model", fmt::format("{}: {} in {}", report.model, plural(report.parameters, "parameter"),
                            plural(report.buckets, "gradient bucket"))});
  table.add({"batch", fmt::format("{} = {} micro x {} ranks x {} accumulated", report.global,
                                  report.micro, report.ranks, report.accumulation)});
  table.add({"parallel", report.parallel});
  return table.render();
}

std::string render_memory(const PlanReport& report) {
  const RunEstimate& estimate = report.estimate;
  Table table({{"memory of a rank"}, {"bytes", true}, {"about", true}});
  for (const MemoryUse& use : estimate.memory) {
    table.add({std::string(name_of(use.kind)), with_separators(use.bytes), approximate(use.bytes)});
  }
  const auto checkpoint = [&] {
    table.add({std::string(name_of(MemoryKind::kCheckpointBuffer)),
               with_separators(estimate.checkpoint_buffer),
               approximate(estimate.checkpoint_buffer)});
  };
  if (report.total() != estimate.bytes()) checkpoint();
  table.add_rule();
  table.add({"total", with_separators(report.total()), approximate(report.total())});
  // A GPU's run keeps it in the host's memory.
  if (report.total() == estimate.bytes() && estimate.checkpoint_buffer > 0) checkpoint();
  return table.render();
}

std::int64_t sent_per_step(const std::vector<Traffic>& traffic) {
  std::int64_t sent = 0;
  for (const Traffic& one : traffic) sent += one.wire_bytes * one.per_step;
  return sent;
}

std::string render_traffic(const RunEstimate& estimate) {
  if (estimate.traffic.empty()) return "traffic of a step: none, there is one rank\n";
  Table table({{"traffic of a step"},
               {"of"},
               {"ranks", true},
               {"calls", true},
               {"bytes of a call", true},
               {"a rank sends", true}});
  for (const Traffic& one : merged(estimate.traffic)) {
    table.add({one.collective, one.label, fmt::format("{}", one.ranks),
               with_separators(one.per_step), with_separators(one.bytes),
               with_separators(one.wire_bytes * one.per_step)});
  }
  table.add_rule();
  table.add({"total", "", "", "", "", with_separators(sent_per_step(estimate.traffic))});
  return table.render();
}

std::string render_work(const StepWork& work) {
  Table table({{"work of a step and rank"}, {"matrix FLOP", true}, {"other FLOP", true}});
  const auto row = [&](const char* name, const Work& part) {
    table.add({name, approximate_count(part.matrix), approximate_count(part.other)});
  };
  row("forward", work.forward);
  if (work.recomputed != Work{}) row("recomputed forward", work.recomputed);
  row("backward", work.backward);
  row("update", work.update);
  table.add_rule();
  row("total", work.total());
  return table.render();
}

std::string milliseconds(std::optional<double> seconds) {
  if (!seconds) return "-";
  const double value = *seconds * 1e3;
  return fmt::format("{:.{}f}", value, value < 10 ? 3 : value < 100 ? 2 : 1);
}

std::string describe(const std::optional<LinkModel>& link) {
  if (!link) return "-";
  const double fixed = link->call * 1e6;
  return fmt::format("{}{:.3g} us, {}/s", fixed > 0 ? fmt::format("{:.3g} + ", fixed) : "",
                     link->latency * 1e6, approximate_count(link->bandwidth) + "B");
}

std::string render_time(const PlanReport& report) {
  const PlanMachine& machine = report.machine;
  const PredictedTime step = step_time(report.times);
  if (!step.compute && !step.communication) {
    return "predicted time: name the machine's figures, see --flops, or measure them: `ingot bench "
           "ops`\n";
  }
  Table table({{"predicted time, ms"},
               {"runs", true},
               {"computing", true},
               {"exchanging", true},
               {"exposed", true},
               {"total", true}});
  const auto row = [&](const std::string& name, const std::string& runs,
                       const PredictedTime& time) {
    table.add({name, runs, milliseconds(time.compute), milliseconds(time.communication),
               milliseconds(time.exposed), milliseconds(time.total)});
  };
  for (const ProgramTime& one : report.times) {
    row(one.program, with_separators(one.per_step), one.time);
  }
  table.add_rule();
  row("step", "", step);
  const auto rate = [](double value, const char* unit) {
    return value > 0 ? approximate_count(value) + unit : std::string("-");
  };
  std::string text =
      table.render() + fmt::format("for {} ({}), memory {} ({})",
                                   rate(machine.model.matrix_flops, "FLOP/s"), machine.flops,
                                   rate(machine.model.memory_bandwidth, "B/s"), machine.bandwidth);
  if (report.ranks_per_node > 1) {
    text += fmt::format("\n  link {} ({})", describe(machine.model.link), machine.link);
  }
  if (report.ranks > report.ranks_per_node) {
    text += fmt::format("\n  network {} ({})", describe(machine.model.network), machine.network);
  }
  return text + "\n";
}

std::string render_fit(const PlanReport& report) {
  if (!report.fit) {
    return "largest batch.micro: name the memory of a rank with --memory\n";
  }
  const MemoryFit& found = *report.fit;
  const std::string memory = fmt::format("{} ({})", approximate(found.available), found.source);
  if (found.fit.micro == 0) {
    return fmt::format("largest batch.micro in {}: none, the smallest takes {}\n", memory,
                       approximate(found.fit.bytes));
  }
  return fmt::format("largest batch.micro in {}: {}, which takes {}\n", memory, found.fit.micro,
                     approximate(found.fit.bytes));
}

ordered_json seconds_json(std::optional<double> seconds) {
  return seconds ? ordered_json(*seconds) : ordered_json(nullptr);
}

ordered_json time_json(const PredictedTime& time) {
  return {{"compute", seconds_json(time.compute)},
          {"communication", seconds_json(time.communication)},
          {"exposed", seconds_json(time.exposed)},
          {"total", seconds_json(time.total)}};
}

ordered_json link_json(const std::optional<LinkModel>& link, const std::string& source) {
  if (!link) return nullptr;
  return {{"call", link->call},
          {"latency", link->latency},
          {"bandwidth", link->bandwidth},
          {"source", source}};
}

/// Seconds, and the figures that they are predicted from; null where unknown.
ordered_json times_json(const PlanReport& report) {
  ordered_json programs = ordered_json::array();
  for (const ProgramTime& one : report.times) {
    ordered_json row = {{"program", one.program}, {"runs", one.per_step}};
    row.update(time_json(one.time));
    programs.push_back(std::move(row));
  }
  const MachineModel& model = report.machine.model;
  const auto rate = [](double value) { return value > 0 ? ordered_json(value) : nullptr; };
  return {{"machine",
           {{"matrix_flops", rate(model.matrix_flops)},
            {"memory_bandwidth", rate(model.memory_bandwidth)},
            {"link", link_json(model.link, report.machine.link)},
            {"network", link_json(model.network, report.machine.network)}}},
          {"programs", std::move(programs)},
          {"step", time_json(step_time(report.times))}};
}

ordered_json counts_json(const std::vector<ProgramCounts>& counts) {
  ordered_json rows = ordered_json::array();
  for (const ProgramCounts& one : counts) {
    rows.push_back({{"program", one.program},
                    {"runs", one.per_step},
                    {"ops", one.ops},
                    {"fills", one.fills},
                    {"collectives", one.collectives},
                    {"waits", one.waits}});
  }
  return rows;
}

ordered_json work_json(const Work& work) {
  return {{"matrix_flops", work.matrix}, {"other_flops", work.other}};
}

}  // namespace

std::vector<Traffic> merged(const std::vector<Traffic>& traffic) {
  std::vector<Traffic> rows;
  for (const Traffic& one : traffic) {
    const auto same = std::ranges::find_if(rows, [&](const Traffic& row) {
      return row.collective == one.collective && row.label == one.label && row.bytes == one.bytes &&
             row.ranks == one.ranks;
    });
    if (same == rows.end()) {
      rows.push_back(one);
    } else {
      same->per_step += one.per_step;
    }
  }
  return rows;
}

std::string render_plan(const PlanReport& report) {
  std::string text = render_head(report) + "\n" + render_memory(report) + "\n" +
                     render_traffic(report.estimate) + "\n" + render_work(report.estimate.work) +
                     "\n" + render_time(report) + "\n" + render_fit(report);
  if (!report.note.empty()) text += fmt::format("note: {}\n", report.note);
  return text;
}

ordered_json plan_json(const PlanReport& report) {
  const RunEstimate& estimate = report.estimate;
  ordered_json kinds = ordered_json::object();
  for (const MemoryUse& use : estimate.memory) kinds[std::string(name_of(use.kind))] = use.bytes;
  if (report.total() != estimate.bytes()) {
    kinds[std::string(name_of(MemoryKind::kCheckpointBuffer))] = estimate.checkpoint_buffer;
  }
  ordered_json buffers = ordered_json::object();
  for (const auto& [name, bytes] : estimate.buffers) buffers[name] = bytes;
  ordered_json traffic = ordered_json::array();
  for (const Traffic& one : estimate.traffic) {
    traffic.push_back({{"program", one.program},
                       {"collective", one.collective},
                       {"label", one.label},
                       {"bucket", one.bucket},
                       {"ranks", one.ranks},
                       {"calls", one.per_step},
                       {"bytes", one.bytes},
                       {"wire_bytes", one.wire_bytes}});
  }
  ordered_json json = {
      {"config", report.config},
      {"ranks", report.ranks},
      {"ranks_per_node", report.ranks_per_node},
      {"device", report.device},
      {"note", report.note},
      {"parameters", report.parameters},
      {"buckets", report.buckets},
      {"batch",
       {{"micro", report.micro}, {"global", report.global}, {"accumulation", report.accumulation}}},
      {"memory",
       {{"total", report.total()},
        {"checkpoint_buffer", estimate.checkpoint_buffer},
        {"kinds", std::move(kinds)},
        {"buffers", std::move(buffers)}}},
      {"traffic", std::move(traffic)},
      {"sent_per_step", sent_per_step(estimate.traffic)},
      {"work",
       {{"forward", work_json(estimate.work.forward)},
        {"recomputed", work_json(estimate.work.recomputed)},
        {"backward", work_json(estimate.work.backward)},
        {"update", work_json(estimate.work.update)}}},
      {"launches", counts_json(estimate.counts)},
      {"time", times_json(report)}};
  if (report.fit) {
    json["largest_micro"] = {{"micro", report.fit->fit.micro},
                             {"bytes", report.fit->fit.bytes},
                             {"available", report.fit->available},
                             {"source", report.fit->source}};
  }
  return json;
}

}  // namespace ingot
