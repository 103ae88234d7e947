// What a communicator by NCCL is made of, without NCCL's header: for the side of ingot that is
// built where there is no CUDA. The communicator itself is part of the CUDA module
// (collectives/cuda_collectives.hpp).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "ops/base/error.hpp"

namespace ingot {

class FlightLog;

struct NcclOptions {
  int rank = 0;
  int size = 1;
  Device* device = nullptr;  ///< the rank's own GPU; outlives the communicator
  /// "rank 3 (host)" of each rank, for messages.
  std::vector<std::string> names;
  /// Every rank's text, by rank; blocking and collective. Carries NCCL's id.
  std::function<std::vector<std::string>(const std::string&)> all_gather;
  /// Seconds that NCCL may take to connect the ranks; 0: for ever. Exchanges are the watchdog's.
  double timeout = 0;
  /// Where the communicator's calls are to be watched from before NCCL starts; null: nowhere.
  FlightLog* log = nullptr;
  /// Told once, from a thread of the communicator, when NCCL reports an error while exchanges run;
  /// what the ranks' streams wait for then never comes. Should end the job.
  std::function<void(const Error&)> failed;
  std::function<void(int exit_code)> abort;  ///< see Communicator::abort()
};

}  // namespace ingot
