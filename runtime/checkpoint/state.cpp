#include "runtime/checkpoint/state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace ingot {

void StateKind::read(std::int64_t first, std::span<float> to) const {
  const float* from = values.subspan(static_cast<std::size_t>(first), to.size()).data();
  if (transfer != nullptr) {
    transfer->read(to.data(), from, static_cast<std::int64_t>(to.size_bytes()));
  } else {
    std::copy_n(from, to.size(), to.data());
  }
}

void StateKind::write(std::int64_t first, std::span<const std::byte> from) const {
  const auto to = values.subspan(static_cast<std::size_t>(first), from.size() / sizeof(float));
  if (transfer != nullptr) {
    transfer->write(to.data(), from.data(), static_cast<std::int64_t>(to.size_bytes()));
  } else {
    std::memcpy(to.data(), from.data(), to.size_bytes());
  }
}

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
