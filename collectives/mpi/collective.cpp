#include "collectives/mpi/collective.hpp"

#include <fmt/format.h>

namespace ingot::mpi {
namespace {

const char* text_of(Kind kind) {
  switch (kind) {
    case Kind::kAllReduce:
      return "all_reduce";
    case Kind::kReduceScatter:
      return "reduce_scatter";
    case Kind::kAllGather:
      return "all_gather";
    case Kind::kAllToAll:
      return "all_to_all";
    case Kind::kBroadcast:
      return "broadcast";
    case Kind::kBarrier:
      return "barrier";
  }
  return "?";
}

}  // namespace

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
  return std::visit(
      [](auto& algorithm) {
        if constexpr (std::is_same_v<std::decay_t<decltype(algorithm)>, std::monostate>) {
          return Advance::kDone;
        } else {
          return algorithm.advance();
        }
      },
      algorithm_);
}

std::string Collective::description() const {
  std::string label = exchange_.label.what;
  if (exchange_.label.index >= 0) label += fmt::format(" {}", exchange_.label.index);
  return fmt::format("collective {} '{}', {} of {} {} among {} ranks (this is rank {} of them)",
                     exchange_.sequence, label, text_of(exchange_.kind), exchange_.count,
                     name_of(exchange_.type), exchange_.group->size(), exchange_.group->rank);
}

}  // namespace ingot::mpi
