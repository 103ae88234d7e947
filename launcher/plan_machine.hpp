// The machine that `ingot plan` predicts times for: what options name, otherwise what the tuning
// file has measured of the device here. What neither tells stays unknown.
#pragma once

#include <optional>
#include <string>

#include "launcher/commands.hpp"
#include "runtime/metrics/tuning.hpp"
#include "runtime/program/machine_model.hpp"

namespace ingot {

/// A machine and where each of its figures is from: "--flops", "measured", "-" where unknown.
struct PlanMachine {
  MachineModel model;
  std::string flops = "-";
  std::string bandwidth = "-";
  std::string link = "-";
  std::string network = "-";
};

/// `here`: the key of the device that the plan is for, nothing where it is not here. Throws
/// Error(kUsage) naming the option that cannot be understood, and Error(kConfiguration) where a
/// tuning file that the configuration names is none.
PlanMachine plan_machine(const PlanOptions& options, const Config& config,
                         const std::optional<MachineFigures>& here, int ranks_per_node);

/// The link that `figures` tell of: all_reduces of f32 inside one node, or across several. Of the
/// transports the fastest for the longest, of the numbers of ranks the nearest to `ranks`.
std::optional<LinkModel> measured_link(const std::vector<CollectiveFigure>& figures, bool across,
                                       std::int64_t ranks);

}  // namespace ingot
