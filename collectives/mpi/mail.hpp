// The status channel over MPI: the progress thread looks for letters while collectives run, and
// some 50 times a second while none does.
#pragma once

#include <mpi.h>

#include <list>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "collectives/mpi/progress_thread.hpp"
#include "collectives/status_channel.hpp"

namespace ingot::mpi {

class Mail final : public StatusChannel, private Mailbox {
 public:
  /// `world_ranks`: by rank of the job. The progress thread must outlive it.
  Mail(ProgressThread& progress, std::vector<int> world_ranks, int rank);
  ~Mail() override;

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(world_ranks_.size()); }
  void send(int to, std::string text) override;
  void set_receiver(Receiver receiver) override;

 private:
  /// One message on its way; a list, since MPI knows their addresses.
  struct Letter {
    int rank = 0;  ///< the other one
    std::string text;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  bool poll() override;
  void open();
  bool start_sends();
  bool start_receives();
  bool deliver();

  ProgressThread& progress_;
  const std::vector<int> world_ranks_;
  const int rank_;
  std::mutex mutex_;
  std::vector<std::pair<int, std::string>> outbox_;  ///< guarded by mutex_
  std::mutex receiver_mutex_;
  Receiver receiver_;  ///< guarded by receiver_mutex_, which is held while it runs
  // Of the progress thread alone:
  int tag_ = -1;
  std::vector<int> ranks_;  ///< by world rank
  std::list<Letter> sends_;
  std::list<Letter> receives_;
};

}  // namespace ingot::mpi
