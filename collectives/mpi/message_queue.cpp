#include "collectives/mpi/message_queue.hpp"

#include "collectives/mpi/mpi_error.hpp"

namespace ingot::mpi {

void MessageQueue::send(const void* data, std::int64_t bytes, Peer to) {
  check(MPI_Isend(data, static_cast<int>(bytes), MPI_BYTE, to.world_rank, to.tag, MPI_COMM_WORLD,
                  &request(started_)),
        "MPI_Isend");
  ++started_;
}

void MessageQueue::receive(void* data, std::int64_t bytes, Peer from) {
  check(MPI_Irecv(data, static_cast<int>(bytes), MPI_BYTE, from.world_rank, from.tag,
                  MPI_COMM_WORLD, &request(started_)),
        "MPI_Irecv");
  ++started_;
}

bool MessageQueue::complete_oldest() {
  if (empty()) return false;
  int done = 0;
  check(MPI_Test(&request(completed_), &done, MPI_STATUS_IGNORE), "MPI_Test");
  if (done == 0) return false;
  ++completed_;
  return true;
}

}  // namespace ingot::mpi
