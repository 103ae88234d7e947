// MPI from its initialisation to its end, as one object. A process has one session at a time and
// one in its life (MPI allows no second); without mpirun it is a job of a single rank.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "collectives/nodes.hpp"

namespace ingot {

namespace mpi {
class ControlChannel;
class ProgressThread;
}  // namespace mpi

class MpiSession {
 public:
  /// Initialises MPI, on a thread of its own that makes all MPI calls (MPI_THREAD_FUNNELED), and
  /// checks that all ranks run the same ingot and MPI. Throws Error(kEnvironment) where they do
  /// not, or where mpirun belongs to another MPI than the one ingot is linked with. A collective
  /// without progress for `timeout_seconds` fails with kTimeout; 0 waits for ever.
  explicit MpiSession(double timeout_seconds = 0);
  /// Ends MPI, for which all ranks must come here. When an exception is being thrown, it leaves
  /// MPI unfinished instead, upon which mpirun ends the other ranks.
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  /// Ranks are numbered node by node: nodes in the order of their lowest MPI rank, the ranks of a
  /// node in the order of MPI's. This is the number that everything else goes by.
  int rank() const;
  int size() const;
  int local_rank() const;  ///< among the ranks that share this machine
  int local_size() const;  ///< ranks that share this machine
  /// Which ranks exchange through memory. Tests make several nodes of one machine.
  const Nodes& nodes() const;
  const std::string& hostname() const;

  /// Blocking exchanges of all ranks, for outside of steps.
  mpi::ControlChannel& control();
  /// Ends the whole job with this exit code, at once; mpirun ends the other ranks.
  [[noreturn]] void abort(int exit_code);

  // For communicators of this session:
  mpi::ProgressThread& progress();
  const std::vector<int>& world_ranks() const;  ///< MPI's number of each rank
  /// Lowest context that no communicator of this process has used.
  int next_context() const;
  /// Marks `context` and all below as used; throws Error(kInternal) where tags run out.
  void use_context(int context);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ingot
