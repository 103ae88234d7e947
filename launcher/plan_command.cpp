// `ingot plan`: what one rank of a run needs, from its programs, before any machine is booked. It
// opens one device, whose kernels say what workspaces they want, starts no MPI job, reads of the
// data set only the header, and computes nothing.
#include <cstdio>
#include <memory>

#include "collectives/choose.hpp"
#include "launcher/command_line.hpp"
#include "launcher/commands.hpp"
#include "launcher/device_choice.hpp"
#include "launcher/fill_registry.hpp"
#include "launcher/job.hpp"
#include "launcher/plan_machine.hpp"
#include "launcher/plan_report.hpp"
#include "ops/base/units.hpp"
#include "runtime/config/load.hpp"
#include "runtime/config/validate.hpp"
#include "runtime/metrics/crossovers.hpp"
#include "runtime/train/data_feed.hpp"
#include "runtime/train/step_plan.hpp"

namespace ingot {
namespace {

/// The device whose kernels the plan is made with, and what has to be said about it.
struct PlanDevice {
  std::unique_ptr<Device> device;
  std::string text;
  std::string note;
  bool stands_in = false;  ///< a CPU for GPUs that are not here
  MachineFigures key;      ///< of its figures in the tuning file
};

PlanDevice open_plan_device(Config config, Registry& registry, int ranks_per_node) {
  PlanDevice plan;
  const std::string wanted = config.device;
  config.device = wanted == "cpu" ? "cpu" : "auto";
  config.environment.require_dedicated = "off";
  const DeviceChoice choice = choose_device(config, {.host = "this machine", .all_gather = {}});
  const int threads = threads_per_rank(config, ranks_per_node);
  plan.device = open_device(choice, registry, threads, ranks_per_node);
  plan.key = machine_of(choice, threads);
  plan.text = choice.cuda
                  ? plan.device->description()
                  : fmt::format("cpu, {} thread{} per rank", threads, threads == 1 ? "" : "s");
  if (wanted == "cpu" || choice.cuda) return plan;
  if (wanted == "cuda") {
    plan.stands_in = true;
    plan.text = "cuda";
    plan.note = fmt::format(
        "there is no GPU here to ask ({}): the workspaces are those of the CPU's kernels; all else "
        "is as on a GPU",
        choice.reason);
  } else {
    plan.note = fmt::format("device: cpu, since {}", choice.reason);
  }
  return plan;
}

std::int64_t bytes_of(const std::string& memory) {
  try {
    return parse_bytes(memory);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("--memory: {}", error.what()));
  }
}

/// What a rank may take, where that is known.
std::optional<MemoryFit> memory_of(const PlanOptions& options, const Config& config,
                                   const PlanDevice& device, int ranks_per_node) {
  if (!options.memory.empty()) return MemoryFit{bytes_of(options.memory), "--memory", {}};
  if (config.batch.memory > 0) return MemoryFit{config.batch.memory, "batch.memory", {}};
  if (device.stands_in) return {};
  const std::int64_t free = free_bytes(*device.device, ranks_per_node);
  if (free == kUnknownBytes) return {};
  return MemoryFit{static_cast<std::int64_t>(kPlannedShare * static_cast<double>(free)),
                   "nine tenths of what is free here",
                   {}};
}

/// Replaces `auto` by what a new run would take.
void choose_micro(Config& config, const PlanInputs& inputs,
                  const std::optional<MemoryFit>& memory) {
  if (!memory) {
    fail(ExitCode::kUsage,
         "batch.micro: auto: the memory of a rank is not known here: name it with --memory");
  }
  const MicroFit fit =
      largest_micro(micro_candidates(config, inputs.place.ranks, true), memory->available,
                    [&](std::int64_t micro) { return bytes_with_micro(inputs, micro); });
  config.batch.micro = std::max<std::int64_t>(fit.micro, 1);  // the smallest is shown if none fits
}

std::string describe_parallel(const Config& config) {
  return fmt::format("shard {}, reduction {}, wire {}", config.parallel.shard,
                     config.parallel.reduction, config.parallel.wire);
}

/// What the job's communicator will take of each GPU.
std::int64_t exchange_bytes(const Config& config, const PlanDevice& device, int ranks,
                            int ranks_per_node) {
  const bool by_nccl = device.stands_in ||
                       (device.device->kind() == DeviceKind::kCuda && !nccl_version_text().empty());
  if (!by_nccl) return 0;
  const SizeLimits direct =
      device.stands_in ? SizeLimits{} : measured_crossovers(config, device.key, ranks).direct;
  return planned_memory_bytes(config.collectives.transport, ranks > ranks_per_node ? 2 : 1, ranks,
                              direct);
}

int nodes_ranks(const PlanOptions& options) {
  const int per_node = options.ranks_per_node > 0 ? options.ranks_per_node : options.ranks;
  if (options.ranks % per_node != 0) {
    fail(ExitCode::kUsage, "--ranks {} is not a multiple of --ranks-per-node {}", options.ranks,
         per_node);
  }
  return per_node;
}

}  // namespace

int run_plan(const PlanOptions& options) {
  const int per_node = nodes_ranks(options);
  Config config = load_config(options.config, options.overrides);
  if (!options.device.empty()) config.device = options.device;
  validate(config, options.ranks);
  const ModelData data = read_model_data(config);
  Registry registry;
  fill_registry(registry, config, options.allow_plugins);
  const PlanDevice device = open_plan_device(config, registry, per_node);
  const PlanInputs inputs{config,
                          data,
                          registry,
                          *device.device,
                          {options.ranks, 0, per_node},
                          device.device->host_visible() && !device.stands_in,
                          exchange_bytes(config, device, options.ranks, per_node)};

  PlanReport report;
  report.fit = memory_of(options, config, device, per_node);
  if (config.batch.micro == kAutoMicro) choose_micro(config, inputs, report.fit);
  const PlannedRun run = plan_run(inputs);
  if (options.programs) {
    run.plan.for_each([](const Program& program) { std::fputs(print(program).c_str(), stdout); });
    return 0;
  }
  report.config = options.config;
  report.ranks = options.ranks;
  report.ranks_per_node = per_node;
  report.device = device.text;
  report.note = device.note;
  report.model = config.model.kind;
  report.parameters = run.plan.layout.parameter_count();
  report.buckets = static_cast<std::int64_t>(run.plan.layout.buckets.size());
  report.micro = config.batch.micro;
  report.global = global_batch(config, options.ranks);
  report.accumulation = accumulation_steps(config, options.ranks);
  report.parallel = describe_parallel(config);
  report.estimate = estimate_run(run.plan, run.options);
  report.machine = plan_machine(
      options, config, device.stands_in ? std::nullopt : std::optional(device.key), per_node);
  report.times = predict_programs(step_programs(run.plan), run.plan.parallel, report.machine.model);
  report.host_computes = inputs.host_computes;
  if (report.fit) {
    report.fit->fit =
        largest_micro(micro_candidates(config, options.ranks, false), report.fit->available,
                      [&](std::int64_t micro) { return bytes_with_micro(inputs, micro); });
  }
  const std::string text = options.json ? plan_json(report).dump(2) + "\n" : render_plan(report);
  std::fputs(text.c_str(), stdout);
  return 0;
}

void declare_plan(CLI::App& app, Action& action) {
  const auto options = std::make_shared<PlanOptions>();
  add_config_arguments(app, options->config, options->overrides);
  app.add_option("--ranks", options->ranks, "Ranks that the job will have")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--ranks-per-node", options->ranks_per_node, "Of them on each node; 0: all on one")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option("--memory", options->memory,
                 "Of a rank, such as 80GiB; default: nine tenths of what is free here");
  app.add_option("--device", options->device,
                 "auto, cpu or cuda: whose kernels say what workspaces they want; default: the "
                 "configuration's")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  app.add_option("--flops", options->flops,
                 "Per second of matrix products, such as 989T, to predict times from; default: as "
                 "`ingot bench ops` measured");
  app.add_option(
      "--bandwidth", options->bandwidth,
      "Of the device's memory, such as 3.35TB/s; default: as `ingot bench ops` measured");
  const std::string link = fmt::format(
      "{}, several such as 8xndr, or LATENCY,BANDWIDTH such as 2us,450GB/s; default: "
      "as `ingot bench collectives` measured",
      link_presets());
  app.add_option("--link", options->link, "Of a rank inside a node: " + link);
  app.add_option("--network", options->network, "Of a node, which its ranks share: as --link");
  app.add_flag("--json", options->json, "Print JSON instead of tables");
  app.add_flag("--programs", options->programs, "Print the programs, instruction by instruction");
  app.add_flag("--allow-plugins", options->allow_plugins,
               "Load the shared libraries that `plugins` names: runs their code");
  app.callback([options, &action] { action = [options] { return run_plan(*options); }; });
}

}  // namespace ingot
