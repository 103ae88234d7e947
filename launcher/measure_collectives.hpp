// Times collectives on all ranks at once. On a device that computes in the host's memory calls are
// put on the stream while it is held back, so that what is timed is the transport alone; on a GPU,
// whose queue of launches is short, they are launched as nccl-tests does, and recorded into a graph
// and replayed as a run does. What the way there and back adds is timed apart.
#pragma once

#include <cstdint>
#include <memory>

#include "collectives/algorithms/ordered.hpp"
#include "collectives/mpi/mpi_session.hpp"
#include "launcher/collective_cases.hpp"

namespace ingot {

/// Times are the slowest rank's, the median over repetitions.
struct CollectiveTime {
  double seconds = 0;  ///< of a call among others back to back on the stream
  /// The same in a recording that is replayed; 0 where the device has none.
  double graph_seconds = 0;
  double host_seconds = 0;  ///< from the call on an idle stream to the return of synchronize()
  std::int64_t errors = 0;  ///< wrong elements on all ranks
};

/// Owns the memory that is exchanged. All functions are collective.
class CollectiveBench {
 public:
  /// Memory for cases of up to `bytes`; `shared`: as a run's, which peers may reach directly.
  /// `ordered`: reduce_scatter is the ordered one, of one partial sum per rank.
  CollectiveBench(MpiSession& session, Communicator& communicator, Device& device,
                  std::int64_t bytes, bool shared, bool ordered = false);
  ~CollectiveBench();
  CollectiveBench(const CollectiveBench&) = delete;
  CollectiveBench& operator=(const CollectiveBench&) = delete;

  /// Checks the result of a call, then measures for about `seconds`.
  CollectiveTime measure(const CollectiveCase& use, double seconds);

 private:
  struct Gate;

  void enqueue(const CollectiveCase& use);
  std::int64_t check(const CollectiveCase& use);
  double in_graph(const CollectiveCase& use, double once, double seconds);
  double on_stream(const CollectiveCase& use, std::int64_t calls);
  double from_host(const CollectiveCase& use, std::int64_t calls);
  double slowest(double mine);
  template <typename Run>
  double median_of(const Run& run, double once, double seconds);

  MpiSession& session_;
  Communicator& communicator_;
  Device& device_;
  bool shared_;
  std::unique_ptr<OrderedReduction> ordered_;
  Buffer to_;
  Buffer from_;
  Buffer scratch_;  ///< of ordered sums
  HostTransfer transfer_;
  std::unique_ptr<Gate> gate_;
  std::unique_ptr<Event> begin_;
  std::unique_ptr<Event> end_;
  std::unique_ptr<Stream> stream_;  // destroyed before what is above: its worker uses that
};

}  // namespace ingot
