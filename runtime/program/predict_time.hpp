// How long a step would take on a machine that is described by a few figures: the scheduled
// programs are played on two streams, as the executor would run them. Nothing is measured, and the
// same holds for ranks that do not exist.
//
// The model. An op takes the longer of its matrix FLOPs at the device's rate and of its bytes at
// the memory's (the roofline of Williams, Waterman and Patterson, 2009), from what Op::cost states.
// An exchange takes what LinkModel says; where it crosses nodes, its slowest hop decides, and rings
// that leave a node side by side share its network. An ordered reduction is an exchange of all to
// all and the reading and writing of its blocks. Streams do not slow one another, and the host is
// never late: the prediction is a floor, not a promise.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/program/estimate.hpp"
#include "runtime/program/machine_model.hpp"

namespace ingot {

/// Seconds; nothing where the machine's figures do not tell.
struct PredictedTime {
  std::optional<double> compute;        ///< that the compute stream is busy
  std::optional<double> communication;  ///< that the communication stream is busy
  std::optional<double> exposed;        ///< that computation waits for communication
  std::optional<double> total;          ///< from the first instruction to the end of both streams
};

/// One run of a program.
struct ProgramTime {
  std::string program;
  std::int64_t per_step = 0;
  PredictedTime time;
};

/// Of one instruction.
std::optional<double> predict_seconds(const Instruction& instruction, const ParallelPlan& parallel,
                                      const MachineModel& machine);

PredictedTime predict_program(const Program& program, const ParallelPlan& parallel,
                              const MachineModel& machine);

/// The programs of a step, in their order.
std::vector<ProgramTime> predict_programs(std::span<const ProgramRuns> programs,
                                          const ParallelPlan& parallel,
                                          const MachineModel& machine);

/// Of a whole step: programs follow one another, since each ends with a wait for its exchanges.
PredictedTime step_time(std::span<const ProgramTime> programs);

}  // namespace ingot
