// A machine file's text -> Machine. Apart from the lookup of the file so that tests can reach it.
#pragma once

#include <stdexcept>
#include <string>

#include "machine/machine.hpp"

namespace gpusim {

/// "FILE:LINE:COLUMN: what was found, what was expected".
class MachineError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// `local_ranks` is what `count: ranks` stands for.
Machine parse_machine(const std::string& text, const std::string& file, int local_ranks);

/// Processes of this job on this node, as mpirun or srun say; at least 1.
int local_ranks();

}  // namespace gpusim
