// Keeps no rank running when what launched it is gone.
#pragma once

namespace ingot {

/// Lets the kernel kill this process when its parent dies, where a launcher of ranks started it: a
/// killed mpirun leaves ranks behind that nobody would end. A command that a shell started outlives
/// the shell as it always did.
void die_with_launcher();

}  // namespace ingot
