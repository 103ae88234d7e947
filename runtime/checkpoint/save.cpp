#include "runtime/checkpoint/save.hpp"

#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/save_steps.hpp"

namespace ingot {

SaveResult save_checkpoint(const SaveOptions& options, const StateView& state,
                           const TrainingState& training, RankExchange& exchange) {
  SaveJob job = plan_save(options, state, training, exchange.size());
  open_folder(job, exchange);
  const Outcome mine = write_part(job, state, exchange.rank(), exchange.size());
  const std::vector<std::string> reports = exchange.gather(mine.encode());
  Outcome committed;
  if (exchange.rank() == 0) committed = commit(job, state, reports);
  return result_of(job, Outcome::decode(exchange.broadcast(committed.encode())));
}

std::vector<std::string> remove_leftovers(const std::string& directory) {
  std::vector<std::string> problems;
  for (const std::string& name : list_leftovers(directory)) {
    if (auto problem = remove_folder(directory + "/" + name); !problem.empty()) {
      problems.push_back(std::move(problem));
    }
  }
  return problems;
}

}  // namespace ingot
