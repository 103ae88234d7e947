// `ingot bench collectives`: how fast ranks exchange buffers, and whether rightly. Started by
// mpirun like a run; what it writes into the tuning file is what the machine's links can do.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "collectives/choose.hpp"
#include "collectives/mpi/control_channel.hpp"
#include "launcher/command_line.hpp"
#include "launcher/commands.hpp"
#include "launcher/job.hpp"
#include "launcher/measure_collectives.hpp"
#include "ops/base/text.hpp"
#include "ops/base/units.hpp"
#include "runtime/metrics/crossovers.hpp"
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

/// What runs on GPUs can exchange by, beside each other; "ordered": reduce_scatter in the order of
/// the reduction tree, by what "auto" comes to.
constexpr const char* kOnGpus[] = {"nccl", "one_shot", "two_shot", "ordered", "mpi"};
constexpr const char* kOrdered = "ordered";

struct Row {
  CollectiveCase use;
  std::string transport;
  CollectiveTime time;

  /// As a run has it: on GPUs a step is a replayed recording.
  double seconds() const { return time.graph_seconds > 0 ? time.graph_seconds : time.seconds; }
  double algorithm_bandwidth() const { return static_cast<double>(use.bytes()) / seconds(); }
  double bus_bandwidth() const { return algorithm_bandwidth() * bus_factor(use.kind, use.ranks); }
};

struct Report {
  std::string device;
  std::vector<std::string> transports;
  std::int64_t ranks = 1;
  std::int64_t nodes = 1;
  bool shared = true;
  bool on_gpus = false;
  std::vector<Row> rows;

  CollectiveFigure figure_of(const Row& row) const {
    return {row.transport,
            ranks,
            nodes,
            shared,
            std::string(name_of(row.use.kind)),
            std::string(name_of(row.use.type)),
            row.use.bytes(),
            row.seconds()};
  }

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

/// From which size on one operation is faster than the same on another transport.
std::string faster_from(const Report& report, CollectiveKind kind, const std::string& transport,
                        const std::string& other, const std::vector<CollectiveFigure>& known) {
  if (other == transport) return "-";
  std::optional<std::int64_t> from;
  bool compared = false;
  for (const Row& row : report.rows) {
    if (row.use.kind != kind || row.transport != transport) continue;
    CollectiveFigure wanted = report.figure_of(row);
    wanted.transport = other;
    const auto same = std::ranges::find_if(known, [&](const CollectiveFigure& figure) {
      wanted.seconds = figure.seconds;
      return figure == wanted;
    });
    if (same == known.end()) continue;
    compared = true;
    if (row.seconds() >= same->seconds) from.reset();
    if (row.seconds() < same->seconds && !from) from = row.use.bytes();
  }
  if (!compared) return "-";
  return from ? "from " + format_bytes(*from) : "never";
}

std::string render_links(const Report& report, const std::vector<CollectiveFigure>& known) {
  const bool several = report.transports.size() > 1;
  std::vector<std::string> others;
  for (const CollectiveFigure& figure : known) {
    const bool listed = std::ranges::find(others, figure.transport) != others.end();
    const bool own = !several && figure.transport == report.transports.front();
    if (!own && !listed) others.push_back(figure.transport);
  }
  std::ranges::sort(others);
  if (others.empty()) others.emplace_back("others");
  std::vector<TableColumn> columns = {{"operation"}};
  if (several) columns.push_back({"transport"});
  columns.push_back({"least us", true});
  columns.push_back({"most bus GB/s", true});
  for (const std::string& other : others) columns.push_back({"faster than " + other, true});
  Table table(std::move(columns));
  for (const CollectiveKind kind : measured_kinds()) {
    for (const std::string& transport : report.transports) {
      double least = 0;
      double most = 0;
      for (const Row& row : report.rows) {
        if (row.use.kind != kind || row.transport != transport) continue;
        least = least == 0 ? row.seconds() : std::min(least, row.seconds());
        most = std::max(most, row.bus_bandwidth());
      }
      if (least == 0) continue;
      std::vector<std::string> cells = {std::string(name_of(kind))};
      if (several) cells.push_back(transport);
      cells.push_back(microseconds(least));
      cells.push_back(fmt::format("{:.2f}", most / 1e9));
      for (const std::string& other : others) {
        cells.push_back(faster_from(report, kind, transport, other, known));
      }
      table.add(std::move(cells));
    }
  }
  return table.render();
}

/// What later runs on these GPUs will exchange directly, by what is known now.
std::string render_crossovers(const Report& report, const std::vector<CollectiveFigure>& known) {
  if (!report.on_gpus || report.nodes > 1) return "";
  const Crossovers found = crossovers_of(known, static_cast<int>(report.ranks));
  const std::int64_t one_shot = found.one_shot_bytes < 0
                                    ? default_one_shot_bytes(static_cast<int>(report.ranks))
                                    : found.one_shot_bytes;
  return fmt::format(
      "runs exchange directly up to {} of an all_reduce ({} of them one-shot), {} of a "
      "reduce_scatter, {} of an all_gather\n",
      format_bytes(found.direct.all_reduce), format_bytes(one_shot),
      format_bytes(found.direct.reduce_scatter), format_bytes(found.direct.all_gather));
}

std::string render(const Report& report, const std::vector<CollectiveFigure>& known) {
  const bool several = report.transports.size() > 1;
  std::vector<TableColumn> columns = {{"size", true}, {"count", true}, {"type"}, {"operation"}};
  if (several) columns.push_back({"transport"});
  columns.push_back({"time us", true});
  if (report.on_gpus) columns.push_back({"in graph us", true});
  for (const char* name : {"algorithm GB/s", "bus GB/s", "from host us", "errors"}) {
    columns.push_back({name, true});
  }
  Table table(std::move(columns));
  const Row* last = nullptr;
  for (const Row& row : report.rows) {
    if (last != nullptr && last->use.kind != row.use.kind) table.add_rule();
    last = &row;
    std::vector<std::string> cells = {format_bytes(row.use.bytes()), with_separators(row.use.count),
                                      std::string(name_of(row.use.type)),
                                      std::string(name_of(row.use.kind))};
    if (several) cells.push_back(row.transport);
    cells.push_back(microseconds(row.time.seconds));
    if (report.on_gpus) {
      cells.push_back(row.time.graph_seconds > 0 ? microseconds(row.time.graph_seconds) : "-");
    }
    cells.push_back(fmt::format("{:.2f}", row.algorithm_bandwidth() / 1e9));
    cells.push_back(fmt::format("{:.2f}", row.bus_bandwidth() / 1e9));
    cells.push_back(microseconds(row.time.host_seconds));
    cells.push_back(with_separators(row.time.errors));
    table.add(std::move(cells));
  }
  const char* graphs =
      report.on_gpus ? "; in graph: of a replayed recording, from which bandwidths follow" : "";
  return fmt::format("{}, transport {}, {} ranks on {} node{}, memory {}\n\n", report.device,
                     fmt::join(report.transports, ", "), report.ranks, report.nodes,
                     report.nodes == 1 ? "" : "s", report.shared ? "shared" : "not shared") +
         table.render() +
         fmt::format(
             "time: of a call among others back to back, the slowest rank's, median{}; from "
             "host: until the host knows\n\n",
             graphs) +
         render_links(report, known) + render_crossovers(report, known);
}

nlohmann::json to_json(const Report& report, const std::vector<CollectiveFigure>& known) {
  nlohmann::json rows = nlohmann::json::array();
  for (const Row& row : report.rows) {
    const double graph = row.time.graph_seconds;
    rows.push_back({{"size", row.use.bytes()},
                    {"count", row.use.count},
                    {"type", name_of(row.use.type)},
                    {"operation", name_of(row.use.kind)},
                    {"transport", row.transport},
                    {"seconds", row.time.seconds},
                    {"graph_seconds", graph > 0 ? nlohmann::json(graph) : nlohmann::json()},
                    {"algorithm_bandwidth", row.algorithm_bandwidth()},
                    {"bus_bandwidth", row.bus_bandwidth()},
                    {"host_seconds", row.time.host_seconds},
                    {"errors", row.time.errors}});
  }
  nlohmann::json json = {{"device", report.device}, {"transports", report.transports},
                         {"ranks", report.ranks},   {"nodes", report.nodes},
                         {"shared", report.shared}, {"rows", std::move(rows)}};
  if (report.on_gpus && report.nodes == 1) {
    const Crossovers found = crossovers_of(known, static_cast<int>(report.ranks));
    json["crossovers"] = {{"one_shot", found.one_shot_bytes},
                          {"all_reduce", found.direct.all_reduce},
                          {"reduce_scatter", found.direct.reduce_scatter},
                          {"all_gather", found.direct.all_gather}};
  }
  return json;
}

/// Rank 0's part: into the tuning file and onto the console.
void show(const BenchCollectivesOptions& options, const Report& report, MachineFigures machine) {
  const std::string path = tuning_path(options.tuning);
  for (const Row& row : report.rows) machine.collectives.push_back(report.figure_of(row));
  const bool written = options.write && report.errors() == 0;
  if (written) write_collectives(path, machine);
  // What is new, and in front of what the file has of the same.
  std::vector<CollectiveFigure> known = machine.collectives;
  for (CollectiveFigure& figure : measured_collectives(path, machine)) {
    const bool fresh = std::ranges::any_of(machine.collectives, [&](CollectiveFigure other) {
      other.seconds = figure.seconds;
      return other == figure;
    });
    if (!fresh) known.push_back(std::move(figure));
  }
  const std::string text =
      options.json ? to_json(report, known).dump(2) + "\n"
                   : render(report, known) + (written ? fmt::format("written to {}\n", path) : "");
  std::fputs(text.c_str(), stdout);
}

/// One transport after the other, each with communicators of its own.
class Bench {
 public:
  Bench(const BenchCollectivesOptions& options, const Plan& plan, Job& job, Report& report)
      : options_(options), plan_(plan), job_(job), report_(report) {}

  /// Nothing where the transport cannot be had and need not be. Collective.
  void measure(const std::string& transport, bool optional) {
    std::unique_ptr<Communicator> communicator = join(transport, optional);
    if (!communicator) return;
    const bool ordered = transport == kOrdered;
    std::vector<Row> rows = rows_of(ordered ? transport : communicator->transport(), ordered);
    if (rows.empty()) return;
    // Each communicator takes part in few recordings where these keep memory of theirs.
    for (std::size_t first = 0; first < rows.size(); first += kRowsOfCommunicator) {
      if (!communicator) communicator = join(transport, false);
      const std::span<Row> some =
          std::span(rows).subspan(first, std::min(kRowsOfCommunicator, rows.size() - first));
      measure_rows(*communicator, some, ordered);
      communicator.reset();
    }
    const std::string name = rows.front().transport;
    if (std::ranges::find(report_.transports, name) != report_.transports.end()) return;
    report_.transports.push_back(name);
    std::ranges::move(rows, std::back_inserter(report_.rows));
  }

 private:
  static constexpr std::size_t kRowsOfCommunicator = 12;

  std::unique_ptr<Communicator> join(const std::string& transport, bool optional) {
    CommunicatorOptions asked;
    asked.asked = transport == kOrdered ? "auto" : transport;
    asked.timeout = kJoinSeconds;
    try {
      return job_.connect(std::move(asked));
    } catch (const SharedError& error) {
      if (!optional) throw;
      if (job_.session().rank() == 0) {
        job_.log().note(fmt::format("no {}: {}", transport, error.what()));
      }
      return nullptr;
    }
  }

  std::vector<Row> rows_of(std::string name, bool ordered) const {
    std::vector<Row> rows;
    for (const CollectiveKind kind : plan_.kinds) {
      if (ordered && (kind != CollectiveKind::kReduceScatter || plan_.type != DType::kF32))
        continue;
      for (const std::int64_t size : plan_.sizes) {
        rows.push_back({case_of(kind, plan_.type, size, job_.session().size()), name, {}});
      }
    }
    return rows;
  }

  void measure_rows(Communicator& communicator, std::span<Row> rows, bool ordered) {
    std::int64_t bytes = 0;
    for (const Row& row : rows) bytes = std::max(bytes, row.use.bytes());
    CollectiveBench measuring(job_.session(), communicator, job_.device(), bytes, report_.shared,
                              ordered);
    for (Row& row : rows) row.time = measuring.measure(row.use, options_.seconds);
  }

  static constexpr double kJoinSeconds = 120;

  const BenchCollectivesOptions& options_;
  const Plan& plan_;
  Job& job_;
  Report& report_;
};

/// By operation and size, so that transports stand side by side.
void sort_rows(Report& report) {
  const auto place = [&](const Row& row) {
    return std::pair(std::ranges::find(measured_kinds(), row.use.kind) - measured_kinds().begin(),
                     row.use.bytes());
  };
  std::ranges::stable_sort(report.rows, {}, place);
}

ExitCode bench(const BenchCollectivesOptions& options, Job& job) {
  Plan plan;
  Config config;
  config.device = options.device;
  config.collectives.transport = "mpi";  // which all devices have; what is measured comes after
  job.together([&] {
    plan = plan_of(options);
    if (job.session().size() > 1) return;
    fail(ExitCode::kUsage,
         "bench collectives measures how ranks exchange buffers: start at least two, as with "
         "`mpirun -np 2 ingot bench collectives`");
  });
  job.open(config, false);
  const bool first_of_node = job.session().local_rank() == 0;
  Report report{job.device().description(),
                {},
                job.session().size(),
                static_cast<std::int64_t>(job.session().control().sum(first_of_node ? 1 : 0)),
                options.shared,
                job.choice().cuda,
                {}};
  const bool all = options.transports.empty() && report.on_gpus;
  std::vector<std::string> transports = options.transports;
  if (all) transports.assign(std::begin(kOnGpus), std::end(kOnGpus));
  if (transports.empty()) transports.emplace_back("auto");
  Bench measuring(options, plan, job, report);
  for (const std::string& transport : transports) measuring.measure(transport, all);
  sort_rows(report);

  job.together([&] {
    if (report.rows.empty()) {
      fail(ExitCode::kUsage, "nothing to measure: ordered reductions are reduce_scatter of f32");
    }
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
  app.add_option("--transport", options->transports,
                 "One or several of those of the key collectives.transport, and for GPUs one_shot, "
                 "two_shot and ordered; default: auto, on GPUs all there are")
      ->delimiter(',')
      ->check(CLI::IsMember({"auto", "nccl", "one_shot", "two_shot", "direct", "ordered", "mpi",
                             "shm", "hierarchical"}));
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
