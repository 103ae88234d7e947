// A collective in flight: its arguments and the algorithm that carries it out. Objects are reused,
// so that a step allocates none.
#pragma once

#include <string>
#include <variant>

#include "collectives/mpi/direct.hpp"
#include "collectives/mpi/exchange.hpp"
#include "collectives/mpi/ring.hpp"
#include "collectives/mpi/transfer.hpp"

namespace ingot::mpi {

class Collective final : public Transfer {
 public:
  /// Takes new arguments; the algorithm is chosen from them alone, hence equally on all ranks.
  void set(const Exchange& exchange);
  const Exchange& exchange() const { return exchange_; }

  Advance advance() override;
  std::string description() const override;
  /// Marks the call's entry in the flight record.
  void note_failure() override;

 private:
  void choose_algorithm();

  Exchange exchange_;
  Scratch scratch_;
  std::variant<std::monostate, Ring, AllToAll, SmallAllReduce, Barrier, Broadcast> algorithm_;
};

}  // namespace ingot::mpi
