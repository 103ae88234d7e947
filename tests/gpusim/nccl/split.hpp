// ncclCommSplit: ranks agree over the old communicator on the new ones.
#pragma once

#include "nccl/communicator.hpp"

namespace gpusim::nccl {

struct SplitPlace {
  int rank = -1;  ///< in the new communicator; -1: in none
  int ranks = 0;
  ncclUniqueId id = {};
};

/// Blocking; collective over `mesh`, whose collective number `number` it is. False where the mesh
/// was stopped.
bool agree_on_split(Mesh& mesh, std::uint64_t number, int color, int key, SplitPlace& place,
                    std::string& why);

/// The ranks that are left, those that `excluded` names aside, agree on a smaller communicator;
/// only they call this. `attempt` counts such calls.
bool agree_on_rest(Mesh& mesh, std::uint64_t attempt, const std::vector<int>& excluded,
                   SplitPlace& place, std::string& why);

}  // namespace gpusim::nccl
