// `ingot bench collectives`: how fast ranks exchange buffers, and whether rightly. Started by
// mpirun like a run; what it writes into the tuning file is what the machine's links can do.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "collectives/mpi/control_channel.hpp"
#include "launcher/command_line.hpp"
#include "launcher/commands.hpp"
#include "launcher/job.hpp"
#include "launcher/measure_collectives.hpp"
#include "ops/base/text.hpp"
#include "ops/base/units.hpp"
#include "runtime/metrics/table.hpp"
#include "runtime/metrics/tuning.hpp"

namespace ingot {
namespace {

constexpr DType kTypes[] = {DType::kF32, DType::kBf16, DType::kF64,
                            DType::kI32, DType::kI64,  DType::kU8};

/// What was asked for, checked.
struct Plan {
  std::vector<CollectiveKind> kinds;
  std::vector<std::int64_t> sizes;  ///< bytes
  DType type = DType::kF32;
};

struct Row {
  CollectiveCase use;
  CollectiveTime time;

  double algorithm_bandwidth() const { return static_cast<double>(use.bytes()) / time.seconds; }
  double bus_bandwidth() const { return algorithm_bandwidth() * bus_factor(use.kind, use.ranks); }
};

struct Report {
  std::string device;
  std::string transport;
  std::int64_t ranks = 1;
  std::int64_t nodes = 1;
  bool shared = true;
  std::vector<Row> rows;

  std::int64_t errors() const {
    std::int64_t sum = 0;
    for (const Row& row : rows) sum += row.time.errors;
    return sum;
  }
};

std::int64_t bytes_of(const char* option, const std::string& text) {
  try {
    return parse_bytes(text);
  } catch (const Error& error) {
    fail(ExitCode::kUsage, "{}: {}", option, error.what());
  }
}

Plan plan_of(const BenchCollectivesOptions& options) {
  Plan plan;
  for (const std::string& name : options.operations) plan.kinds.push_back(kind_named(name));
  if (plan.kinds.empty()) plan.kinds.assign(measured_kinds().begin(), measured_kinds().end());
  plan.type = *std::ranges::find(kTypes, options.type, [](DType type) { return name_of(type); });
  const std::int64_t least = bytes_of("--min", options.least);
  const std::int64_t most = bytes_of("--max", options.most);
  constexpr std::int64_t kLimit = std::int64_t{1} << 40;
  if (least < 1 || most > kLimit || most < least) {
    fail(ExitCode::kUsage,
         "--min {} and --max {} are no range of sizes; expected 1 <= min <= max <= 1TiB",
         options.least, options.most);
  }
  for (std::int64_t size = least; size <= most; size *= options.factor) plan.sizes.push_back(size);
  return plan;
}

std::string microseconds(double seconds) {
  const double value = seconds * 1e6;
  return value < 100 ? fmt::format("{:.2f}", value) : fmt::format("{:.0f}", value);
}

/// How one operation compares with the same on another transport in the tuning file.
std::string faster_from(const Report& report, CollectiveKind kind, const std::string& transport,
                        const std::vector<CollectiveFigure>& known) {
  std::optional<std::int64_t> from;
  bool compared = false;
  for (const Row& row : report.rows) {
    if (row.use.kind != kind) continue;
    const CollectiveFigure wanted{transport,
                                  report.ranks,
                                  report.nodes,
                                  report.shared,
                                  std::string(name_of(kind)),
                                  std::string(name_of(row.use.type)),
                                  row.use.bytes(),
                                  0};
    const auto same = std::ranges::find_if(known, [&](CollectiveFigure other) {
      other.seconds = 0;
      return other == wanted;
    });
    if (same == known.end()) continue;
    compared = true;
    if (row.time.seconds >= same->seconds) from.reset();
    if (row.time.seconds < same->seconds && !from) from = row.use.bytes();
  }
  if (!compared) return "-";
  return from ? "from " + format_bytes(*from) : "never";
}

std::string render_links(const Report& report, const std::vector<CollectiveFigure>& known) {
  std::vector<std::string> others;
  for (const CollectiveFigure& figure : known) {
    const bool listed = std::ranges::find(others, figure.transport) != others.end();
    if (figure.transport != report.transport && !listed) others.push_back(figure.transport);
  }
  std::ranges::sort(others);
  if (others.empty()) others.emplace_back("others");
  std::vector<TableColumn> columns = {{"operation"}, {"least us", true}, {"most bus GB/s", true}};
  for (const std::string& other : others) columns.push_back({"faster than " + other, true});
  Table table(std::move(columns));
  for (const CollectiveKind kind : measured_kinds()) {
    double least = 0;
    double most = 0;
    for (const Row& row : report.rows) {
      if (row.use.kind != kind) continue;
      least = least == 0 ? row.time.seconds : std::min(least, row.time.seconds);
      most = std::max(most, row.bus_bandwidth());
    }
    if (least == 0) continue;
    std::vector<std::string> cells = {std::string(name_of(kind)), microseconds(least),
                                      fmt::format("{:.2f}", most / 1e9)};
    for (const std::string& other : others) {
      cells.push_back(faster_from(report, kind, other, known));
    }
    table.add(std::move(cells));
  }
  return table.render();
}

std::string render(const Report& report, const std::vector<CollectiveFigure>& known) {
  Table table({{"size", true},
               {"count", true},
               {"type"},
               {"operation"},
               {"time us", true},
               {"algorithm GB/s", true},
               {"bus GB/s", true},
               {"from host us", true},
               {"errors", true}});
  const Row* last = nullptr;
  for (const Row& row : report.rows) {
    if (last != nullptr && last->use.kind != row.use.kind) table.add_rule();
    last = &row;
    table.add({format_bytes(row.use.bytes()), with_separators(row.use.count),
               std::string(name_of(row.use.type)), std::string(name_of(row.use.kind)),
               microseconds(row.time.seconds),
               fmt::format("{:.2f}", row.algorithm_bandwidth() / 1e9),
               fmt::format("{:.2f}", row.bus_bandwidth() / 1e9),
               microseconds(row.time.host_seconds), with_separators(row.time.errors)});
  }
  return fmt::format("{}, transport {}, {} ranks on {} node{}, memory {}\n\n", report.device,
                     report.transport, report.ranks, report.nodes, report.nodes == 1 ? "" : "s",
                     report.shared ? "shared" : "not shared") +
         table.render() +
         "time: of a call among others back to back, the slowest rank's, median; from host: until "
         "the host knows\n\n" +
         render_links(report, known);
}

nlohmann::json to_json(const Report& report) {
  nlohmann::json rows = nlohmann::json::array();
  for (const Row& row : report.rows) {
    rows.push_back({{"size", row.use.bytes()},
                    {"count", row.use.count},
                    {"type", name_of(row.use.type)},
                    {"operation", name_of(row.use.kind)},
                    {"seconds", row.time.seconds},
                    {"algorithm_bandwidth", row.algorithm_bandwidth()},
                    {"bus_bandwidth", row.bus_bandwidth()},
                    {"host_seconds", row.time.host_seconds},
                    {"errors", row.time.errors}});
  }
  return {{"device", report.device}, {"transport", report.transport}, {"ranks", report.ranks},
          {"nodes", report.nodes},   {"shared", report.shared},       {"rows", std::move(rows)}};
}

/// Rank 0's part: into the tuning file and onto the console.
void show(const BenchCollectivesOptions& options, const Report& report, MachineFigures machine) {
  const std::string path = tuning_path(options.tuning);
  for (const Row& row : report.rows) {
    machine.collectives.push_back({report.transport, report.ranks, report.nodes, report.shared,
                                   std::string(name_of(row.use.kind)),
                                   std::string(name_of(row.use.type)), row.use.bytes(),
                                   row.time.seconds});
  }
  const bool written = options.write && report.errors() == 0;
  if (written) write_collectives(path, machine);
  const std::string text = options.json ? to_json(report).dump(2) + "\n"
                                        : render(report, measured_collectives(path, machine)) +
                                              (written ? fmt::format("written to {}\n", path) : "");
  std::fputs(text.c_str(), stdout);
}

ExitCode bench(const BenchCollectivesOptions& options, Job& job) {
  Plan plan;
  Config config;
  config.device = options.device;
  config.collectives.transport = options.transport;
  job.together([&] {
    plan = plan_of(options);
    if (job.session().size() > 1) return;
    fail(ExitCode::kUsage,
         "bench collectives measures how ranks exchange buffers: start at least two, as with "
         "`mpirun -np 2 ingot bench collectives`");
  });
  job.open(config, false);
  Communicator& communicator = *job.communicator();
  const bool first_of_node = job.session().local_rank() == 0;
  Report report{job.device().description(),
                communicator.transport(),
                communicator.size(),
                static_cast<std::int64_t>(job.session().control().sum(first_of_node ? 1 : 0)),
                options.shared,
                {}};
  std::int64_t bytes = 0;
  for (const CollectiveKind kind : plan.kinds) {
    for (const std::int64_t size : plan.sizes) {
      report.rows.push_back({case_of(kind, plan.type, size, communicator.size()), {}});
      bytes = std::max(bytes, report.rows.back().use.bytes());
    }
  }
  CollectiveBench measuring(job.session(), communicator, job.device(), bytes, options.shared);
  for (Row& row : report.rows) row.time = measuring.measure(row.use, options.seconds);

  job.together([&] {
    if (job.session().rank() != 0) return;
    show(options, report, machine_of(job.choice(), job.environment().threads));
  });
  if (report.errors() == 0) return ExitCode::kDone;
  if (job.session().rank() == 0) {
    job.log().error("{} elements are not what the operations should give: see the column errors",
                    report.errors());
  }
  return ExitCode::kInternal;
}

}  // namespace

int run_bench_collectives(const BenchCollectivesOptions& options) {
  Job job;
  return job.run([&] { return bench(options, job); });
}

void declare_bench_collectives(CLI::App& app, Action& action) {
  const auto options = std::make_shared<BenchCollectivesOptions>();
  std::vector<std::string> types;
  for (const DType type : kTypes) types.emplace_back(name_of(type));
  app.add_option("--operation", options->operations,
                 "Only these of all_reduce, reduce_scatter, all_gather, all_to_all, broadcast")
      ->delimiter(',');
  app.add_option("--min", options->least, "Smallest size of a rank's larger buffer")
      ->capture_default_str();
  app.add_option("--max", options->most, "Largest size")->capture_default_str();
  app.add_option("--factor", options->factor, "From each size to the next")
      ->check(CLI::Range(2, 1024))
      ->capture_default_str();
  app.add_option("--type", options->type, "Of the elements: " + join_alternatives(types))
      ->check(CLI::IsMember(types))
      ->capture_default_str();
  app.add_option("--transport", options->transport, "As the key collectives.transport")
      ->check(CLI::IsMember({"auto", "mpi", "shm", "hierarchical"}))
      ->capture_default_str();
  app.add_option("--device", options->device, "auto, cpu or cuda: whose memory is exchanged")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  app.add_flag_callback(
      "--unshared", [options] { options->shared = false; },
      "Use memory that peers cannot reach directly, instead of a run's");
  app.add_option("--seconds", options->seconds, "To measure each row for, about")
      ->check(CLI::Range(0.0, 600.0))
      ->capture_default_str();
  app.add_flag("--json", options->json, "Print JSON instead of a table");
  app.add_option("--tuning", options->tuning,
                 "File to write; default: $XDG_CACHE_HOME/ingot/tuning.yaml");
  app.add_flag_callback(
      "--no-write", [options] { options->write = false; }, "Leave the tuning file alone");
  app.callback(
      [options, &action] { action = [options] { return run_bench_collectives(*options); }; });
}

}  // namespace ingot
