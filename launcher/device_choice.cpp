#include "launcher/device_choice.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "ops/base/text.hpp"
#include "ops/device/cpu/cpu_device.hpp"
#include "ops/device/cpu/free_memory.hpp"

namespace ingot {

namespace {

using nlohmann::json;

std::string encode(const RankFinding& finding) {
  json gpus = json::array();
  for (const GpuInfo& gpu : finding.survey.gpus) {
    gpus.push_back({gpu.ordinal, gpu.name, gpu.uuid, gpu.major, gpu.minor, gpu.memory_bytes,
                    gpu.mig, gpu.other_processes, gpu.uncorrected_errors, gpu.unknown});
  }
  const json value = {finding.host,
                      finding.local_rank,
                      finding.local_ranks,
                      finding.survey.driver_version,
                      finding.survey.runtime_version,
                      finding.survey.cublas,
                      finding.survey.problem,
                      std::move(gpus)};
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

RankFinding decode(const std::string& text) {
  const json value = json::parse(text);
  RankFinding finding{value.at(0), value.at(1), value.at(2), {}};
  finding.survey.driver_version = value.at(3);
  finding.survey.runtime_version = value.at(4);
  finding.survey.cublas = value.at(5);
  finding.survey.problem = value.at(6);
  for (const json& gpu : value.at(7)) {
    finding.survey.gpus.push_back({gpu.at(0), gpu.at(1), gpu.at(2), gpu.at(3), gpu.at(4), gpu.at(5),
                                   gpu.at(6), gpu.at(7), gpu.at(8), gpu.at(9)});
  }
  return finding;
}

GpuSurvey look() {
  try {
    return load_cuda_module().survey();
  } catch (const Error& error) {
    GpuSurvey survey;
    survey.problem = error.what();
    return survey;
  }
}

/// The GPU of a rank's place. Where a launcher shows each rank GPUs of its own, there may be fewer
/// than ranks: the comparison of UUIDs settles whether that is right.
const GpuInfo& gpu_of(const RankFinding& finding) {
  const auto& gpus = finding.survey.gpus;
  return gpus[static_cast<std::size_t>(finding.local_rank) % gpus.size()];
}

std::string isa_of(const GpuInfo& gpu) {
  return fmt::format("sm_{}{}", gpu.major, gpu.minor);
}

/// Why the ranks cannot each have a GPU; empty where they can.
std::string obstacle(const std::vector<RankFinding>& findings) {
  for (std::size_t rank = 0; rank < findings.size(); ++rank) {
    const RankFinding& finding = findings[rank];
    if (finding.survey.problem.empty()) continue;
    if (findings.size() == 1) return finding.survey.problem;
    return fmt::format("rank {} on {}: {}", rank, finding.host, finding.survey.problem);
  }
  for (std::size_t rank = 0; rank < findings.size(); ++rank) {
    for (std::size_t other = 0; other < rank; ++other) {
      const RankFinding& a = findings[other];
      const RankFinding& b = findings[rank];
      if (a.host != b.host || gpu_of(a).uuid != gpu_of(b).uuid) continue;
      const std::size_t gpus = b.survey.gpus.size();
      if (static_cast<int>(gpus) < b.local_ranks) {
        return fmt::format(
            "{} has {} GPU{} for {} ranks: start at most {} rank{} per node (mpirun --map-by "
            "ppr:{}:node)",
            b.host, gpus, gpus == 1 ? "" : "s", b.local_ranks, gpus, gpus == 1 ? "" : "s", gpus);
      }
      return fmt::format(
          "ranks {} and {} would share one GPU of {} ({}, {}): let every rank see all GPUs of its "
          "node, or each one a different GPU (CUDA_VISIBLE_DEVICES, srun --gpus-per-task)",
          other, rank, b.host, gpu_of(b).name, gpu_of(b).uuid);
    }
  }
  return {};
}

/// In what way a rank's GPU is not its own, or not sound; empty where all is well.
std::vector<std::string> flaws_of(const RankFinding& finding, std::size_t rank) {
  const GpuInfo& gpu = gpu_of(finding);
  const std::string which =
      fmt::format("rank {}: GPU {} of {} ({})", rank, gpu.ordinal, finding.host, gpu.name);
  std::vector<std::string> flaws;
  if (gpu.mig) flaws.push_back(which + " is cut into parts (MIG)");
  if (!gpu.other_processes.empty()) {
    flaws.push_back(fmt::format(
        "{} is used by {} other process{} (pid {})", which, gpu.other_processes.size(),
        gpu.other_processes.size() == 1 ? "" : "es", fmt::join(gpu.other_processes, ", ")));
  }
  if (gpu.uncorrected_errors > 0) {
    flaws.push_back(fmt::format("{} had {} uncorrectable memory errors since the driver was loaded",
                                which, gpu.uncorrected_errors));
  }
  if (!gpu.unknown.empty()) {
    flaws.push_back(
        fmt::format("{}: it is not known whether it is dedicated: {}", which, gpu.unknown));
  }
  return flaws;
}

}  // namespace

DeviceChoice decide_device(const Config& config, const std::vector<RankFinding>& findings,
                           int rank) {
  DeviceChoice choice;
  if (config.device == "cpu") return choice;
  if (const std::string why = obstacle(findings); !why.empty()) {
    if (config.device == "cuda")
      fail(ExitCode::kEnvironment, "device: cuda: {}; device: cpu computes without", why);
    choice.reason = why;
    return choice;
  }
  const RankFinding& mine = findings[static_cast<std::size_t>(rank)];
  choice.cuda = true;
  choice.ordinal = gpu_of(mine).ordinal;
  choice.gpu = gpu_of(mine).name;
  choice.isa = isa_of(gpu_of(mine));
  // Ranks compute alike only on equal GPUs: the fingerprint names every kind.
  std::vector<std::string> kinds;
  for (std::size_t r = 0; r < findings.size(); ++r) {
    const std::string kind = isa_of(gpu_of(findings[r]));
    if (std::ranges::find(kinds, kind) == kinds.end()) kinds.push_back(kind);
    for (std::string& flaw : flaws_of(findings[r], r)) choice.warnings.push_back(std::move(flaw));
  }
  choice.numerics = fmt::format("{}, cuBLASLt {}", fmt::join(kinds, " and "), mine.survey.cublas);
  const std::string& require = config.environment.require_dedicated;
  if (require == "strict" && !choice.warnings.empty()) {
    fail(ExitCode::kEnvironment,
         "{}; environment.require_dedicated: strict refuses this, warn or off would go on",
         choice.warnings.front());
  }
  if (require == "off") choice.warnings.clear();
  return choice;
}

DeviceChoice choose_device(const Config& config, const DevicePlace& place) {
  if (config.device == "cpu") return {};
  const RankFinding mine{place.host, place.local_rank, place.local_ranks, look()};
  if (!place.all_gather) return decide_device(config, {mine}, 0);
  std::vector<RankFinding> findings;
  for (const std::string& text : place.all_gather(encode(mine))) findings.push_back(decode(text));
  return decide_device(config, findings, place.rank);
}

std::unique_ptr<Device> open_device(const DeviceChoice& choice, Registry& registry, int threads,
                                    int local_ranks) {
  if (!choice.cuda) return std::make_unique<cpu::CpuDevice>(threads, local_ranks);
  CudaModule& module = load_cuda_module();
  module.register_kernels(registry);
  return module.create_device(choice.ordinal);
}

std::int64_t free_bytes(const Device& device, int local_ranks) {
  if (device.kind() == DeviceKind::kCuda) return device.available_bytes();
  const std::int64_t free = cpu::free_memory();
  return free == kUnknownBytes ? free : free / std::max(1, local_ranks);
}

MachineFigures machine_of(const DeviceChoice& choice, int threads) {
  if (!choice.cuda) return this_machine(threads);
  MachineFigures machine;
  machine.processor = printable(choice.gpu, 200);
  machine.isa = choice.isa;
  return machine;
}

}  // namespace ingot
