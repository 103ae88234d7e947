#include "collectives/mpi/collective.hpp"

#include <fmt/format.h>

namespace ingot::mpi {
void Collective::set(const Exchange& exchange) {
  exchange_ = exchange;
  algorithm_ = std::monostate();
}

void Collective::choose_algorithm() {
  switch (exchange_.kind) {
    case Kind::kAllReduce:
      if (SmallAllReduce::suits(exchange_)) {
        algorithm_.emplace<SmallAllReduce>(exchange_, scratch_);
        return;
      }
      [[fallthrough]];
    case Kind::kReduceScatter:
    case Kind::kAllGather:
      algorithm_.emplace<Ring>(exchange_, scratch_);
      return;
    case Kind::kAllToAll:
      algorithm_.emplace<AllToAll>(exchange_);
      return;
    case Kind::kBroadcast:
      algorithm_.emplace<Broadcast>(exchange_);
      return;
    case Kind::kBarrier:
      algorithm_.emplace<Barrier>(exchange_);
      return;
  }
}

Advance Collective::advance() {
  // Buffers are touched only from here on: before, the stream had not reached the collective.
  if (std::holds_alternative<std::monostate>(algorithm_)) choose_algorithm();
  const Advance advance = std::visit(
      [](auto& algorithm) {
        if constexpr (std::is_same_v<std::decay_t<decltype(algorithm)>, std::monostate>) {
          return Advance::kDone;
        } else {
          return algorithm.advance();
        }
      },
      algorithm_);
  if (advance == Advance::kMoved && exchange_.flight != nullptr) exchange_.flight->move();
  return advance;
}

void Collective::note_failure() {
  if (exchange_.flight != nullptr) exchange_.flight->fail();
}

std::string Collective::description() const {
  return fmt::format("collective {}, {}, among {} ranks (this is rank {} of them)",
                     exchange_.sequence, describe(exchange_), exchange_.group->size(),
                     exchange_.group->rank);
}

}  // namespace ingot::mpi
