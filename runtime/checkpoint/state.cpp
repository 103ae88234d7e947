#include "runtime/checkpoint/state.hpp"

#include <fmt/format.h>

namespace ingot {

std::vector<StateDifference> differences(const TrainingState& saved, const TrainingState& now) {
  std::vector<StateDifference> found;
  const auto compare = [&](const char* what, const auto& before, const auto& after, bool breaks) {
    if (before != after) {
      found.push_back({what, fmt::format("{}", before), fmt::format("{}", after), breaks});
    }
  };
  compare("optimizer.kind", saved.optimizer, now.optimizer, true);
  compare("run.seed", saved.seed, now.seed, true);
  compare("the data's checksum", saved.data_checksum, now.data_checksum, true);
  compare("the sampler's version", saved.sampler_version, now.sampler_version, true);
  compare("train.precision", saved.precision, now.precision, false);
  compare("the numerics fingerprint", saved.fingerprint, now.fingerprint, false);
  return found;
}

}  // namespace ingot
