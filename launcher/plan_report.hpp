// What `ingot plan` found, and how it is shown: as tables or as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "launcher/plan_machine.hpp"
#include "runtime/program/predict_time.hpp"
#include "runtime/train/micro_batch.hpp"

namespace ingot {

/// The largest micro batch for a given memory.
struct MemoryFit {
  std::int64_t available = 0;  ///< bytes of a rank
  std::string source;          ///< "--memory", "batch.memory", "nine tenths of what is free here"
  MicroFit fit;
};

struct PlanReport {
  std::string config;  ///< file name
  int ranks = 1;
  int ranks_per_node = 1;
  std::string device;  ///< "cpu, 2 threads"
  std::string note;    ///< what the figures do not say; empty: nothing
  std::string model;   ///< "gpt"
  std::int64_t parameters = 0;
  std::int64_t buckets = 0;
  std::int64_t micro = 0;
  std::int64_t global = 0;
  std::int64_t accumulation = 1;
  std::string parallel;  ///< "shard none, reduction fast"
  RunEstimate estimate;
  PlanMachine machine;
  std::vector<ProgramTime> times;  ///< of a step
  bool host_computes = true;       ///< the device's memory is the host's
  std::optional<MemoryFit> fit;    ///< none where the memory is not known

  /// Bytes of the memory that a rank computes in.
  std::int64_t total() const {
    return estimate.bytes() + (host_computes ? estimate.checkpoint_buffer : 0);
  }
};

/// Calls that differ only in their program, as one row.
std::vector<Traffic> merged(const std::vector<Traffic>& traffic);

std::string render_plan(const PlanReport& report);
nlohmann::ordered_json plan_json(const PlanReport& report);

}  // namespace ingot
