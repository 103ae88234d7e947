// `ingot bench ops`: what this machine's CPU or GPU can do, and what share of that each op reaches.
// One process; what it writes into the tuning file is what progress lines call the machine's peak.
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "launcher/command_line.hpp"
#include "launcher/commands.hpp"
#include "launcher/device_choice.hpp"
#include "launcher/measure.hpp"
#include "ops/base/text.hpp"
#include "ops/base/units.hpp"
#include "runtime/metrics/table.hpp"
#include "runtime/metrics/tuning.hpp"
#include "runtime/train/agreed_algorithms.hpp"

namespace ingot {
namespace {

int cores_of_process() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

/// How large the measured work is.
struct Workload {
  CaseSizes cases;
  std::vector<std::int64_t> products = {768, 1024, 1536, 2048};  ///< edges of the peak's matrices
  std::int64_t copy_bytes = std::int64_t{128} << 20;
};

Workload workload_of(const std::string& shape, DeviceKind device) {
  const bool gpu = device == DeviceKind::kCuda;
  if (shape == "tiny") return {tiny_sizes(), {128, 256}, std::int64_t{1} << 20};
  Workload work;
  if (shape == "124m" || (shape == "auto" && gpu)) work.cases = gpt2_sizes();
  if (gpu) {
    work.products = {2048, 4096, 8192};
    work.copy_bytes = std::int64_t{512} << 20;
  }
  return work;
}

/// Takes the GPU (or CPU) as a run of one rank would.
DeviceChoice choose(const std::string& device) {
  Config config;
  config.device = device;
  DeviceChoice choice = choose_device(config, {});
  if (!choice.reason.empty()) {
    std::fprintf(stderr, "device: cpu, since %s\n", choice.reason.c_str());
  }
  for (const std::string& warning : choice.warnings) {
    std::fprintf(stderr, "%s\n", warning.c_str());
  }
  return choice;
}

/// The share of the machine's limit, whichever of arithmetic and memory bounds the op.
OpFigure figure_of(const OpCase& use, const OpTime& time, const MachineFigures& machine) {
  const double peak = use.type == DType::kBf16 ? machine.matrix_bf16 : machine.matrix_f32;
  const double matrix_seconds = time.cost.matrix_flops / peak;
  const double copy_seconds =
      static_cast<double>(time.cost.bytes_read + time.cost.bytes_written) / machine.copy;
  const bool matrix = matrix_seconds > copy_seconds;
  return {use.op,
          std::string(name_of(use.type)),
          use.inputs.front().type.shape.text(),
          time.seconds,
          std::max(matrix_seconds, copy_seconds) / time.seconds,
          matrix ? "matrix" : "copy"};
}

std::string render(const MachineFigures& machine, DeviceKind device) {
  const std::string threads =
      device == DeviceKind::kCuda
          ? ""
          : fmt::format(", {} thread{}", machine.threads, machine.threads == 1 ? "" : "s");
  std::string text = fmt::format(
      "{}, {}{}\nmatrix peak  f32 {:.1f} GFLOP/s, bf16 {:.1f} GFLOP/s\ncopy         "
      "{:.2f} GB/s (read and written)\n\n",
      machine.processor, machine.isa, threads, machine.matrix_f32 / 1e9, machine.matrix_bf16 / 1e9,
      machine.copy / 1e9);
  Table table({{"op"}, {"type"}, {"first input"}, {"time us", true}, {"share", true}, {"of"}});
  for (const OpFigure& figure : machine.ops) {
    table.add({figure.op, figure.type, figure.size, fmt::format("{:.1f}", figure.seconds * 1e6),
               fmt::format("{:.1f} %", figure.share * 100), figure.of});
  }
  return text + table.render() +
         "share: least time that the op's own matrix products (or bytes moved once) need, divided "
         "by its time;\nabove 100 % of copy where the data stay in the caches\n";
}

nlohmann::json to_json(const MachineFigures& machine) {
  nlohmann::json ops = nlohmann::json::array();
  for (const OpFigure& figure : machine.ops) {
    ops.push_back({{"op", figure.op},
                   {"type", figure.type},
                   {"size", figure.size},
                   {"seconds", figure.seconds},
                   {"share", figure.share},
                   {"of", figure.of}});
  }
  return {{"processor", machine.processor},
          {"isa", machine.isa},
          {"threads", machine.threads},
          {"matrix_f32", machine.matrix_f32},
          {"matrix_bf16", machine.matrix_bf16},
          {"copy", machine.copy},
          {"ops", std::move(ops)}};
}

void check_names(const std::vector<std::string>& wanted, const Registry& registry) {
  const std::vector<std::string> known = registry.names();
  for (const std::string& name : wanted) {
    if (std::ranges::find(known, name) == known.end()) {
      fail(ExitCode::kUsage, "--op: no op is called '{}'{}", printable(name),
           did_you_mean(name, known));
    }
  }
}

}  // namespace

int run_bench_ops(const BenchOpsOptions& options) {
  Registry registry;
  register_ops(registry);
  check_names(options.ops, registry);
  const int threads = options.threads > 0 ? options.threads : cores_of_process();
  const DeviceChoice choice = choose(options.device);
  const std::unique_ptr<Device> opened = open_device(choice, registry, threads, 1);
  Device& device = *opened;
  if (choice.cuda) {
    // Products are measured as runs compute them.
    Logger log(0);
    load_algorithms(matrix_algorithms(), options.tuning, log);
  }
  const Workload work = workload_of(options.shape, device.kind());
  MachineFigures machine = machine_of(choice, threads);
  machine.matrix_f32 =
      measure_matrix_peak(registry, device, DType::kF32, work.products, options.seconds);
  machine.matrix_bf16 =
      measure_matrix_peak(registry, device, DType::kBf16, work.products, options.seconds);
  machine.copy = measure_copy(registry, device, work.copy_bytes, options.seconds);
  for (const DType type : {DType::kF32, DType::kBf16}) {
    for (const OpCase& use : op_cases(type, work.cases)) {
      const bool wanted =
          options.ops.empty() || std::ranges::find(options.ops, use.op) != options.ops.end();
      if (!wanted || !registry.has_kernel(use.op, device.kind())) continue;
      machine.ops.push_back(
          figure_of(use, measure_op(registry, device, use, options.seconds), machine));
    }
  }
  const std::string text =
      options.json ? to_json(machine).dump(2) + "\n" : render(machine, device.kind());
  std::fputs(text.c_str(), stdout);
  if (options.write) {
    const std::string path = tuning_path(options.tuning);
    write_tuning(path, machine);
    if (!options.json) std::printf("written to %s\n", path.c_str());
  }
  return 0;
}

void declare_bench_ops(CLI::App& app, Action& action) {
  const auto options = std::make_shared<BenchOpsOptions>();
  app.add_option("--device", options->device, "auto, cpu or cuda: what to measure")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--shape", options->shape,
                 "Sizes of the ops: tiny, small (6 layers' of width 384), 124m (GPT-2's); auto: "
                 "small on a CPU, 124m on a GPU")
      ->check(CLI::IsMember({"auto", "tiny", "small", "124m"}))
      ->capture_default_str();
  app.add_option("--threads", options->threads,
                 "Threads of the CPU, as a rank will have; 0: the cores that this process may use")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app.add_option("--seconds", options->seconds, "To measure each op for")
      ->check(CLI::Range(0.001, 60.0))
      ->capture_default_str();
  app.add_option("--op", options->ops, "Measure these ops only")->delimiter(',');
  app.add_flag("--json", options->json, "Print JSON instead of a table");
  app.add_option("--tuning", options->tuning,
                 "File to read algorithms from and to write; default: "
                 "$XDG_CACHE_HOME/ingot/tuning.yaml");
  app.add_flag_callback(
      "--no-write", [options] { options->write = false; }, "Leave the tuning file alone");
  app.callback([options, &action] { action = [options] { return run_bench_ops(*options); }; });
}

}  // namespace ingot
