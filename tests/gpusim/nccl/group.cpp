#include "nccl/group.hpp"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

namespace gpusim::nccl {

namespace {

struct Group {
  int depth = 0;
  ncclResult_t error = ncclSuccess;
  std::vector<std::pair<ncclComm*, std::vector<Call>>> calls;  ///< by communicator
  std::vector<std::function<ncclResult_t()>> starts;
};

thread_local Group group;

ncclResult_t run_starts(const std::vector<std::function<ncclResult_t()>>& starts) {
  std::vector<ncclResult_t> results(starts.size(), ncclSuccess);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    threads.emplace_back([&, i] { results[i] = starts[i](); });
  }
  for (std::thread& thread : threads) thread.join();
  ncclResult_t worst = ncclSuccess;
  for (const ncclResult_t result : results) {
    if (worst == ncclSuccess || worst == ncclInProgress) {
      if (result != ncclSuccess) worst = result;
    }
  }
  return worst;
}

}  // namespace

void begin_group() {
  ++group.depth;
}

ncclResult_t end_group() {
  if (group.depth == 0) {
    return refuse(nullptr, ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
  }
  if (--group.depth > 0) return ncclSuccess;
  const Group all = std::exchange(group, Group());
  if (all.error != ncclSuccess) return all.error;
  ncclResult_t result = run_starts(all.starts);
  for (const auto& [communicator, calls] : all.calls) {
    const ncclResult_t here = enqueue(*communicator, calls);
    if (here != ncclSuccess) result = here;
  }
  return result;
}

ncclResult_t submit(ncclComm* communicator, const Call& call) {
  ncclResult_t result = ncclSuccess;
  if (!is_communicator(communicator)) {
    result = refuse(nullptr, ncclInvalidArgument, "not a communicator");
  } else if (communicator->revoked || (communicator->state->mesh() != nullptr &&
                                       communicator->state->mesh()->interrupted())) {
    result =
        refuse(communicator, ncclInvalidUsage,
               std::string(name_of(call.kind)) + " on a communicator that was revoked or shrunk");
  } else if (communicator->state->result() == ncclInProgress) {
    result = refuse(communicator, ncclInvalidUsage,
                    std::string(name_of(call.kind)) + " before the communicator is ready");
  } else if (communicator->state->result() != ncclSuccess) {
    result = communicator->state->result();
  } else if (const std::string problem = problem_with(call, *communicator); !problem.empty()) {
    result =
        refuse(communicator, ncclInvalidArgument, std::string(name_of(call.kind)) + ": " + problem);
  }
  if (group.depth == 0) return result != ncclSuccess ? result : enqueue(*communicator, {call});
  if (result != ncclSuccess) {
    group.error = result;
    return result;
  }
  const auto found =
      std::ranges::find(group.calls, communicator, [](const auto& entry) { return entry.first; });
  if (found == group.calls.end()) {
    group.calls.push_back({communicator, {call}});
  } else {
    found->second.push_back(call);
  }
  return ncclSuccess;
}

ncclResult_t submit_start(std::function<ncclResult_t()> start) {
  if (group.depth == 0) return start();
  group.starts.push_back(std::move(start));
  return ncclSuccess;
}

}  // namespace gpusim::nccl
