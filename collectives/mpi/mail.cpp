#include "collectives/mpi/mail.hpp"

#include <iterator>

#include "collectives/mpi/mpi_error.hpp"

namespace ingot::mpi {

Mail::Mail(ProgressThread& progress, std::vector<int> world_ranks, int rank)
    : progress_(progress), world_ranks_(std::move(world_ranks)), rank_(rank) {
  if (size() > 1) progress_.set_mailbox(this);
}

Mail::~Mail() {
  if (size() > 1) progress_.set_mailbox(nullptr);
  // Letters to a rank that hangs may still be in MPI's hands, which keep their memory.
  for (std::list<Letter>* letters : {&sends_, &receives_}) {
    if (!letters->empty()) (void)new std::list<Letter>(std::move(*letters));
  }
}

void Mail::send(int to, std::string text) {
  {
    const std::scoped_lock lock(mutex_);
    outbox_.emplace_back(to, std::move(text));
  }
  progress_.nudge();
}

void Mail::set_receiver(Receiver receiver) {
  const std::scoped_lock lock(receiver_mutex_);
  receiver_ = std::move(receiver);
}

bool Mail::poll() {
  if (tag_ < 0) open();
  bool moved = start_sends();
  moved |= start_receives();
  moved |= deliver();
  return moved;
}

/// The highest tag belongs to no group: theirs end below the last multiple of Group::kSequences.
void Mail::open() {
  int* highest = nullptr;
  int found = 0;
  check(MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, static_cast<void*>(&highest), &found),
        "MPI_Comm_get_attr");
  tag_ = found != 0 ? *highest : 32767;
  ranks_.assign(world_ranks_.size(), 0);
  for (std::size_t rank = 0; rank < world_ranks_.size(); ++rank) {
    ranks_[static_cast<std::size_t>(world_ranks_[rank])] = static_cast<int>(rank);
  }
}

bool Mail::start_sends() {
  std::vector<std::pair<int, std::string>> letters;
  {
    const std::scoped_lock lock(mutex_);
    letters.swap(outbox_);
  }
  for (auto& [to, text] : letters) {
    Letter& letter = sends_.emplace_back(Letter{to, std::move(text), MPI_REQUEST_NULL});
    check(MPI_Isend(letter.text.data(), static_cast<int>(letter.text.size()), MPI_BYTE,
                    world_ranks_[static_cast<std::size_t>(to)], tag_, MPI_COMM_WORLD,
                    &letter.request),
          "MPI_Isend");
  }
  return !letters.empty();
}

/// Long letters wait for their sender, who may be stopped: nothing here blocks.
bool Mail::start_receives() {
  bool moved = false;
  while (true) {
    int found = 0;
    MPI_Message message = MPI_MESSAGE_NULL;
    MPI_Status status;
    check(MPI_Improbe(MPI_ANY_SOURCE, tag_, MPI_COMM_WORLD, &found, &message, &status),
          "MPI_Improbe");
    if (found == 0) return moved;
    int bytes = 0;
    check(MPI_Get_count(&status, MPI_BYTE, &bytes), "MPI_Get_count");
    Letter& letter = receives_.emplace_back();
    letter.rank = ranks_[static_cast<std::size_t>(status.MPI_SOURCE)];
    letter.text.resize(static_cast<std::size_t>(bytes));
    check(MPI_Imrecv(letter.text.data(), bytes, MPI_BYTE, &message, &letter.request), "MPI_Imrecv");
    moved = true;
  }
}

bool Mail::deliver() {
  bool moved = false;
  const auto complete = [&](Letter& letter) {
    int done = 0;
    check(MPI_Test(&letter.request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    moved = moved || done != 0;
    return done != 0;
  };
  for (auto at = sends_.begin(); at != sends_.end();) {
    at = complete(*at) ? sends_.erase(at) : std::next(at);
  }
  for (auto at = receives_.begin(); at != receives_.end();) {
    if (!complete(*at)) {
      ++at;
      continue;
    }
    {
      const std::scoped_lock lock(receiver_mutex_);
      if (receiver_) receiver_(at->rank, std::move(at->text));
    }
    at = receives_.erase(at);
  }
  return moved;
}

}  // namespace ingot::mpi
