#include "runtime/metrics/tuning.hpp"

#include <algorithm>
#include <cstdlib>
#include <dnnl.hpp>
#include <filesystem>
#include <fstream>

#include "ops/base/file.hpp"
#include "ops/base/text.hpp"
#include "ops/base/yaml/schema.hpp"

namespace ingot {
namespace {

constexpr std::int64_t kTuningVersion = 1;

/// An op's figures as a row of the file, which holds all machines' ops in one list: each row of
/// its lists is one line.
struct StoredOp {
  std::int64_t machine = 0;  ///< index in TuningFile::machines
  std::string op;
  std::string type = "f32";
  std::string size;
  double seconds = 0;
  double share = 0;
  std::string of = "copy";
};

/// A CollectiveFigure of one of the machines.
struct StoredCollective {
  std::int64_t machine = 0;
  std::string transport;
  std::int64_t ranks = 2;
  std::int64_t nodes = 1;
  bool shared = true;
  std::string operation;
  std::string type = "f32";
  std::int64_t bytes = 0;
  double seconds = 0;
};

/// One row of MatrixAlgorithms::Table.
struct StoredAlgorithm {
  std::string product;
  std::string bytes;  ///< hexadecimal
  double seconds = 0;
};

struct TuningFile {
  std::int64_t version = kTuningVersion;
  std::vector<MachineFigures> machines;  ///< without their ops
  std::vector<StoredOp> ops;
  std::vector<StoredCollective> collectives;
  std::vector<StoredAlgorithm> algorithms;
};

yaml::Schema op_schema() {
  const yaml::Range positive = {.least = 0};
  return {"ops",
          "One op at one size.",
          {yaml::integer("machine", &StoredOp::machine, {.least = 0}, "Counted from 0.").required(),
           yaml::text("op", &StoredOp::op, "Its name.").required(),
           yaml::choice("type", &StoredOp::type, {"f32", "bf16"}, "Its element type."),
           yaml::text("size", &StoredOp::size, "Its first input."),
           yaml::real("seconds", &StoredOp::seconds, positive, "Of one execution."),
           yaml::real("share", &StoredOp::share, positive, "Of what bounds it."),
           yaml::choice("of", &StoredOp::of, {"matrix", "copy"}, "What bounds it.")}};
}

yaml::Schema collective_schema() {
  const yaml::Range positive = {.least = 0};
  using Stored = StoredCollective;
  return {"collectives",
          "One collective operation at one size.",
          {yaml::integer("machine", &Stored::machine, {.least = 0}, "Counted from 0.").required(),
           yaml::text("transport", &Stored::transport, "Its name.").required(),
           yaml::integer("ranks", &Stored::ranks, {.least = 1}, "All of them.").required(),
           yaml::integer("nodes", &Stored::nodes, {.least = 1}, "That they are on.").required(),
           yaml::boolean("shared", &Stored::shared, "In memory that peers reach directly."),
           yaml::text("operation", &Stored::operation, "Its name.").required(),
           yaml::choice("type", &Stored::type, {"f32", "bf16", "f64", "i32", "i64", "u8"},
                        "Its element type."),
           yaml::integer("bytes", &Stored::bytes, {.least = 1}, "Of a buffer.").required(),
           yaml::real("seconds", &Stored::seconds, positive, "Of one call.").required()}};
}

yaml::Schema machine_schema() {
  const yaml::Range positive = {.least = 0};
  return {"machines",
          "One machine with some number of threads.",
          {yaml::text("processor", &MachineFigures::processor, "Its model.").required(),
           yaml::text("isa", &MachineFigures::isa, "Its instruction set.").required(),
           yaml::integer("threads", &MachineFigures::threads, {.least = 1}, "Threads.").required(),
           yaml::real("matrix_f32", &MachineFigures::matrix_f32, positive, "FLOP/s."),
           yaml::real("matrix_bf16", &MachineFigures::matrix_bf16, positive, "FLOP/s."),
           yaml::real("copy", &MachineFigures::copy, positive, "Bytes per second.")}};
}

yaml::Schema algorithm_schema() {
  return {"algorithms",
          "An algorithm of cuBLASLt for one product.",
          {yaml::text("product", &StoredAlgorithm::product, "On which GPU.").required(),
           yaml::text("bytes", &StoredAlgorithm::bytes, "Hexadecimal.").required(),
           yaml::real("seconds", &StoredAlgorithm::seconds, {.least = 0}, "Of one execution.")}};
}

yaml::Schema file_schema() {
  return {
      "tuning",
      "What was measured.",
      {yaml::integer("version", &TuningFile::version, {.least = 1}, "Of the layout.").required(),
       yaml::mapping_list("machines", &TuningFile::machines, machine_schema()),
       yaml::mapping_list("ops", &TuningFile::ops, op_schema()),
       yaml::mapping_list("collectives", &TuningFile::collectives, collective_schema()),
       yaml::mapping_list("algorithms", &TuningFile::algorithms, algorithm_schema())}};
}

bool same_machine(const MachineFigures& a, const MachineFigures& b) {
  return a.processor == b.processor && a.isa == b.isa && a.threads == b.threads;
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    if (line.starts_with("model name") && colon != std::string::npos) {
      return printable(line.substr(std::min(line.size(), colon + 2)), 200);
    }
  }
  return "unknown";
}

/// The file as the rest of ingot sees it.
struct Contents {
  std::vector<MachineFigures> machines;
  MatrixAlgorithms::Table algorithms;
};

MachineFigures& machine_at(const std::string& path, TuningFile& file, std::int64_t machine) {
  if (machine >= static_cast<std::int64_t>(file.machines.size())) {
    fail(ExitCode::kConfiguration,
         "{}: figures of machine {}, but it lists only {}; remove it and run `ingot bench ops` "
         "and `ingot bench collectives` again",
         path, machine, file.machines.size());
  }
  return file.machines[static_cast<std::size_t>(machine)];
}

void take_ops(const std::string& path, TuningFile& file) {
  for (StoredOp& stored : file.ops) {
    machine_at(path, file, stored.machine)
        .ops.push_back({std::move(stored.op), std::move(stored.type), std::move(stored.size),
                        stored.seconds, stored.share, std::move(stored.of)});
  }
}

void take_collectives(const std::string& path, TuningFile& file) {
  for (StoredCollective& stored : file.collectives) {
    machine_at(path, file, stored.machine)
        .collectives.push_back({std::move(stored.transport), stored.ranks, stored.nodes,
                                stored.shared, std::move(stored.operation), std::move(stored.type),
                                stored.bytes, stored.seconds});
  }
}

MatrixAlgorithms::Table take_algorithms(const std::string& path, const TuningFile& file) {
  MatrixAlgorithms::Table table;
  for (const StoredAlgorithm& stored : file.algorithms) {
    const auto algorithm = algorithm_of_digits(stored.bytes);
    // Ranks tell each other the table line by line, which the product must not break.
    const bool plain = !stored.product.empty() &&
                       std::ranges::all_of(stored.product, [](char c) { return c >= ' '; });
    if (!algorithm || !plain) {
      fail(ExitCode::kConfiguration,
           "{}: '{}' is not the algorithm of a matrix product ('{}'); remove it from the file",
           path, printable(stored.bytes), printable(stored.product, 200));
    }
    table[stored.product] = {algorithm->bytes, stored.seconds};
  }
  return table;
}

Contents read_contents(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return {};
  const yaml::Source source = {path, true};
  const yaml::Schema schema = file_schema();
  TuningFile file;
  yaml::Places places;
  yaml::bind(schema, yaml::parse(yaml::read_yaml_file(path), source), source, &file, places);
  yaml::check_required(schema, places, path);
  if (file.version != kTuningVersion) {
    fail(ExitCode::kConfiguration,
         "{}: version {}, expected {}; remove it and run `ingot bench ops` again", path,
         file.version, kTuningVersion);
  }
  take_ops(path, file);
  take_collectives(path, file);
  MatrixAlgorithms::Table algorithms = take_algorithms(path, file);
  return {std::move(file.machines), std::move(algorithms)};
}

void write_contents(const std::string& path, const Contents& contents) {
  TuningFile file;
  file.machines = contents.machines;
  for (std::size_t machine = 0; machine < file.machines.size(); ++machine) {
    for (const OpFigure& op : file.machines[machine].ops) {
      file.ops.push_back({static_cast<std::int64_t>(machine), op.op, op.type, op.size, op.seconds,
                          op.share, op.of});
    }
    for (const CollectiveFigure& figure : file.machines[machine].collectives) {
      file.collectives.push_back({static_cast<std::int64_t>(machine), figure.transport,
                                  figure.ranks, figure.nodes, figure.shared, figure.operation,
                                  figure.type, figure.bytes, figure.seconds});
    }
  }
  for (const auto& [product, algorithm] : contents.algorithms) {
    file.algorithms.push_back({product, digits_of(algorithm), algorithm.seconds});
  }
  const auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) create_folders(folder);
  write_file_atomically(path, yaml::render(file_schema(), &file));
}

}  // namespace

std::string instruction_set_name() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      return "SSE4.1";
    case dnnl::cpu_isa::avx:
      return "AVX";
    case dnnl::cpu_isa::avx2:
      return "AVX2";
    case dnnl::cpu_isa::avx2_vnni:
      return "AVX2 VNNI";
    case dnnl::cpu_isa::avx512_core:
      return "AVX-512";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "AVX-512 VNNI";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "AVX-512 BF16";
    case dnnl::cpu_isa::avx512_core_amx:
      return "AMX";
    default:
      return "other";
  }
}

MachineFigures this_machine(int threads) {
  MachineFigures machine;
  machine.processor = processor_name();
  machine.isa = instruction_set_name();
  machine.threads = threads;
  return machine;
}

std::string tuning_path(const std::string& configured) {
  if (!configured.empty()) return configured;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  // The XDG specification tells to ignore relative paths here.
  if (cache != nullptr && cache[0] == '/') return std::string(cache) + "/ingot/tuning.yaml";
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : ".") + "/.cache/ingot/tuning.yaml";
}

std::vector<MachineFigures> read_tuning(const std::string& path) {
  return read_contents(path).machines;
}

void write_tuning(const std::string& path, const MachineFigures& figures) {
  Contents contents = read_contents(path);
  const auto known = std::ranges::find_if(
      contents.machines, [&](const MachineFigures& other) { return same_machine(other, figures); });
  MachineFigures written = figures;
  written.collectives.clear();
  if (known != contents.machines.end()) {
    written.collectives = std::move(known->collectives);
    contents.machines.erase(known);
  }
  contents.machines.push_back(std::move(written));
  write_contents(path, contents);
}

void write_collectives(const std::string& path, const MachineFigures& figures) {
  Contents contents = read_contents(path);
  auto known = std::ranges::find_if(
      contents.machines, [&](const MachineFigures& other) { return same_machine(other, figures); });
  if (known == contents.machines.end()) {
    MachineFigures key;
    key.processor = figures.processor;
    key.isa = figures.isa;
    key.threads = figures.threads;
    contents.machines.push_back(std::move(key));
    known = contents.machines.end() - 1;
  }
  for (const CollectiveFigure& figure : figures.collectives) {
    std::erase_if(known->collectives, [&](CollectiveFigure other) {
      other.seconds = figure.seconds;
      return other == figure;
    });
    known->collectives.push_back(figure);
  }
  write_contents(path, contents);
}

std::vector<CollectiveFigure> measured_collectives(const std::string& path,
                                                   const MachineFigures& machine) {
  for (MachineFigures& known : read_contents(path).machines) {
    if (same_machine(known, machine)) return std::move(known.collectives);
  }
  return {};
}

MatrixAlgorithms::Table read_algorithms(const std::string& path) {
  return read_contents(path).algorithms;
}

void write_algorithms(const std::string& path, const MatrixAlgorithms::Table& algorithms) {
  Contents contents = read_contents(path);
  for (const auto& [product, algorithm] : algorithms) contents.algorithms[product] = algorithm;
  write_contents(path, contents);
}

std::optional<double> matrix_peak(const std::string& path, DType type,
                                  const MachineFigures& machine) {
  for (const MachineFigures& known : read_tuning(path)) {
    if (!same_machine(known, machine)) continue;
    const double peak = type == DType::kBf16 ? known.matrix_bf16 : known.matrix_f32;
    if (peak > 0) return peak;
  }
  return {};
}

double measured_matrix_peak(const Config& config, DType type, const MachineFigures& machine) {
  try {
    return matrix_peak(tuning_path(config.tuning), type, machine).value_or(0);
  } catch (const Error&) {
    if (!config.tuning.empty()) throw;
    return 0;
  }
}

}  // namespace ingot
