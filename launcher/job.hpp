// What every command that computes sets up: MPI, log, device, ops, communicator. Also how ranks end
// together: an error that all ranks agree on is printed once and everybody leaves MPI in order.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collectives/choose.hpp"
#include "collectives/flight_log.hpp"
#include "collectives/mpi/mail.hpp"
#include "collectives/mpi/mpi_communicator.hpp"
#include "collectives/mpi/mpi_session.hpp"
#include "collectives/nccl/settings.hpp"
#include "collectives/watchdog.hpp"
#include "launcher/device_choice.hpp"
#include "ops/base/log.hpp"
#include "ops/op.hpp"
#include "runtime/checkpoint/rank_exchange.hpp"
#include "runtime/config/config.hpp"
#include "runtime/train/run_directory.hpp"

namespace ingot {

/// An error that every rank throws at the same place.
class SharedError final : public Error {
 public:
  using Error::Error;
};

class Job {
 public:
  Job();
  ~Job();
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  MpiSession& session() { return session_; }
  Logger& log() { return log_; }
  RankExchange& exchange() { return *exchange_; }
  Registry& registry() { return registry_; }
  Device& device() { return *device_; }
  const DeviceChoice& choice() const { return choice_; }
  Communicator* communicator() { return communicator_.get(); }  ///< null for one rank
  FlightLog& flights() { return flights_; }
  /// What a signal handler writes to when the process is asked to end; -1 for one rank.
  int termination_descriptor() const;
  /// Where flight records are left when something goes wrong.
  void write_flight_records_to(const std::string& folder, FileAccess access);

  /// Where NCCL's own logs go, before open(); nowhere otherwise.
  void write_nccl_logs_to(const std::string& folder) { nccl_logs_ = folder; }

  /// Runs `work`, which makes no collective calls, on every rank. Where it throws on any, all ranks
  /// throw the error of the lowest such rank.
  void together(const std::function<void()>& work);

  /// Makes the registry (with plugins, which need `allow_plugins`), the device and the
  /// communicator. Collective.
  void open(const Config& config, bool allow_plugins);
  /// Another communicator of all ranks, watched like the job's; a refusal is a SharedError.
  /// Collective, after open().
  std::unique_ptr<Communicator> connect(CommunicatorOptions options);
  Environment environment() const;

  /// Runs a command's body and turns what it throws into an exit code. Errors that all ranks share
  /// (together(), saving, a non-finite step) are printed by rank 0; after any other this rank
  /// prints and the job is aborted with its code. A rank that dies, hangs or disagrees is the
  /// watchdog's business, which ends the job with one message.
  int run(const std::function<ExitCode()>& body);

 private:
  /// How long a rank may take to come to the first exchanges, before the configuration is known.
  static constexpr double kStartSeconds = 600;

  void watch();
  WatchdogActions watchdog_actions();
  void open_device(const Config& config);
  void prepare_for_nccl();
  void set_crossovers(const Config& config, CommunicatorOptions& options);
  void say_how_nccl_runs();
  void cancel_exchanges();
  [[noreturn]] void end_with(const Error& error);

  MpiSession session_;
  Logger log_;
  FlightLog flights_;
  std::unique_ptr<RankExchange> exchange_;
  Registry registry_;
  DeviceChoice choice_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Communicator> communicator_;
  std::atomic<Communicator*> cancellable_{nullptr};  ///< the same, for the watchdog
  std::string nccl_logs_;
  NcclSettings nccl_;
  std::string direct_;  ///< what GPUs exchange directly, in words
  int threads_ = 1;
  // Last, and so the first to end: before MPI does, and peers with it. Absent for one rank.
  std::optional<mpi::Mail> mail_;
  std::optional<Watchdog> watchdog_;
};

/// Threads per rank that a configuration asks for: `threads`, or the cores that this process may
/// run on shared among the node's ranks (all of them where mpirun bound each rank to its own
/// cores).
int threads_per_rank(const Config& config, int local_ranks);

}  // namespace ingot
