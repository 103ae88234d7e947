#include "collectives/mpi/mpi_session.hpp"

#include <mpi.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string_view>
#include <vector>

#include "collectives/mpi/control_channel.hpp"
#include "collectives/mpi/mpi_error.hpp"
#include "collectives/mpi/progress_thread.hpp"

namespace ingot {
namespace {

/// Changes whenever ranks of the old and the new code could not exchange messages.
constexpr std::string_view kProtocol = "ingot collectives 1";

const char* environment(const char* name) {
  return std::getenv(name);
}

/// Ranks that the launcher says it started; nothing where no launcher of ranks is known.
std::optional<int> launched_ranks() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    if (const char* text = environment(name)) return std::atoi(text);
  }
  return std::nullopt;
}

/// Without a launcher Open MPI starts a daemon to have one; a single rank needs none.
void prepare_single_process() {
  const bool launched = launched_ranks().has_value() || environment("PMIX_RANK") != nullptr ||
                        environment("PMI_RANK") != nullptr;
  if (!launched) setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
}

/// INGOT_TEST_NODES=N, for tests only: deals the ranks of one machine out to N nodes in turn, as
/// `mpirun --map-by node` would to N machines. 1 where it is not set.
int test_nodes() {
  const char* text = environment("INGOT_TEST_NODES");
  return text == nullptr ? 1 : std::max(1, std::atoi(text));
}

}  // namespace

struct MpiSession::State {
  void initialise();
  void find_nodes();
  void finish() const;

  int world_rank = 0;
  std::vector<int> world_ranks;  ///< by rank
  Nodes nodes;
  int rank = 0;
  int size = 1;
  int local_rank = 0;
  int local_size = 1;
  int highest_tag = 0;
  int next_context = 1;  ///< context 0 is the control channel's
  bool finalize = true;
  std::string hostname;
  std::string library;
  std::unique_ptr<mpi::ProgressThread> progress;
  std::unique_ptr<mpi::ControlChannel> control;
};

void MpiSession::State::initialise() {
  prepare_single_process();
  int provided = MPI_THREAD_SINGLE;
  mpi::check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_FUNNELED) {
    fail(ExitCode::kEnvironment, "this MPI does not support threads (MPI_THREAD_FUNNELED)");
  }
  mpi::check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  mpi::check(MPI_Comm_rank(MPI_COMM_WORLD, &world_rank), "MPI_Comm_rank");
  mpi::check(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size");
  find_nodes();

  int* tag = nullptr;
  int found = 0;
  mpi::check(MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, static_cast<void*>(&tag), &found),
             "MPI_Comm_get_attr");
  highest_tag = found != 0 ? *tag : 32767;  // what the standard guarantees

  std::array<char, MPI_MAX_PROCESSOR_NAME> name{};
  int length = 0;
  mpi::check(MPI_Get_processor_name(name.data(), &length), "MPI_Get_processor_name");
  hostname.assign(name.data(), static_cast<std::size_t>(length));
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> version{};
  mpi::check(MPI_Get_library_version(version.data(), &length), "MPI_Get_library_version");
  library.assign(version.data(), static_cast<std::size_t>(length));
}

/// Numbers the ranks node by node.
void MpiSession::State::find_nodes() {
  MPI_Comm node = MPI_COMM_NULL;
  mpi::check(
      MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, world_rank, MPI_INFO_NULL, &node),
      "MPI_Comm_split_type");
  mpi::check(MPI_Comm_rank(node, &local_rank), "MPI_Comm_rank");
  mpi::check(MPI_Comm_size(node, &local_size), "MPI_Comm_size");
  std::vector<int> members(static_cast<std::size_t>(local_size));
  mpi::check(MPI_Allgather(&world_rank, 1, MPI_INT, members.data(), 1, MPI_INT, node),
             "MPI_Allgather");
  mpi::check(MPI_Comm_free(&node), "MPI_Comm_free");

  const int lowest = members[static_cast<std::size_t>(local_rank % test_nodes())];
  std::vector<int> all(static_cast<std::size_t>(size));
  mpi::check(MPI_Allgather(&lowest, 1, MPI_INT, all.data(), 1, MPI_INT, MPI_COMM_WORLD),
             "MPI_Allgather");
  world_ranks = node_by_node(all);
  rank = static_cast<int>(std::ranges::find(world_ranks, world_rank) - world_ranks.begin());
  std::ranges::sort(all);  // now by rank, since nodes come in the order of their lowest
  nodes = nodes_of(all, rank);
}

void MpiSession::State::finish() const {
  if (finalize) MPI_Finalize();
}

MpiSession::MpiSession(double timeout_seconds) : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.progress = std::make_unique<mpi::ProgressThread>(
      [&state] { state.initialise(); }, [&state] { state.finish(); },
      std::chrono::duration<double>(timeout_seconds));
  state.progress->set_processes_on_node(state.local_size);

  if (const int launched = launched_ranks().value_or(1); launched > 1 && state.size == 1) {
    fail(ExitCode::kEnvironment,
         "{} ranks were launched, but each sees itself alone: the launcher belongs to another MPI "
         "than ingot's ({}); start the job with that MPI's mpirun, or with srun --mpi=pmix",
         launched, state.library);
  }
  state.control = std::make_unique<mpi::ControlChannel>(
      *state.progress, mpi::Group{.world_ranks = state.world_ranks, .rank = state.rank});

  const std::string mine = fmt::format("{}, {}", kProtocol, state.library);
  std::vector<std::string> all;
  try {
    all = state.control->all_gather_bytes(mine);
  } catch (...) {
    state.finalize = false;  // a rank does not come, to the end of MPI neither
    throw;
  }
  for (std::size_t other = 0; other < all.size(); ++other) {
    if (all[other] == all[0]) continue;
    fail(ExitCode::kEnvironment,
         "rank {} runs '{}', but rank 0 runs '{}'; install the same ingot and MPI on every node",
         other, all[other], all[0]);
  }
}

MpiSession::~MpiSession() {
  state_->finalize = std::uncaught_exceptions() == 0;
}

int MpiSession::rank() const {
  return state_->rank;
}
int MpiSession::size() const {
  return state_->size;
}
int MpiSession::local_rank() const {
  return state_->local_rank;
}
int MpiSession::local_size() const {
  return state_->local_size;
}
const Nodes& MpiSession::nodes() const {
  return state_->nodes;
}
const std::string& MpiSession::hostname() const {
  return state_->hostname;
}
mpi::ControlChannel& MpiSession::control() {
  return *state_->control;
}
mpi::ProgressThread& MpiSession::progress() {
  return *state_->progress;
}
void MpiSession::abort(int exit_code) {
  state_->progress->abort(exit_code);
}
const std::vector<int>& MpiSession::world_ranks() const {
  return state_->world_ranks;
}
int MpiSession::next_context() const {
  return state_->next_context;
}

void MpiSession::use_context(int context) {
  const int available = state_->highest_tag / static_cast<int>(mpi::Group::kSequences);
  if (context >= available) {
    fail(ExitCode::kInternal,
         "no message tags are left for another communicator: this MPI has room for {}", available);
  }
  state_->next_context = context + 1;
}

}  // namespace ingot
