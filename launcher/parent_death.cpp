#include "launcher/parent_death.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

namespace ingot {

void die_with_launcher() {
  constexpr const char* kSetByLaunchers[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                             "SLURM_PROCID"};
  const bool launched = std::any_of(std::begin(kSetByLaunchers), std::end(kSetByLaunchers),
                                    [](const char* name) { return std::getenv(name) != nullptr; });
  if (!launched) return;
  const pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // It may have died before the kernel was told.
  if (getppid() != parent) _exit(128 + SIGKILL);
}

}  // namespace ingot
