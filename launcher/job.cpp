#include "launcher/job.hpp"

#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <dnnl.hpp>
#include <future>
#include <thread>

#include "collectives/choose.hpp"
#include "collectives/mpi/call_check.hpp"
#include "collectives/mpi/control_channel.hpp"
#include "launcher/parent_death.hpp"
#include "ops/plugin.hpp"
#include "runtime/metrics/crossovers.hpp"

namespace ingot {

namespace {

constexpr std::chrono::seconds kCancelWait{2};

/// The control channel as the runtime sees it.
class ControlExchange final : public RankExchange {
 public:
  explicit ControlExchange(MpiSession& session) : session_(session) {}
  int rank() const override { return session_.rank(); }
  int size() const override { return session_.size(); }
  std::vector<std::string> gather(const std::string& text) override {
    std::vector<std::string> all = session_.control().all_gather_bytes(text);
    if (rank() != 0) all.clear();
    return all;
  }
  std::string broadcast(const std::string& text) override {
    return session_.control().broadcast_bytes(text, 0);
  }

 private:
  MpiSession& session_;
};

/// Codes that runtime code throws on all ranks alike: of saving, loading and non-finite steps.
bool shared(const Error& error) {
  return dynamic_cast<const SharedError*>(&error) != nullptr ||
         dynamic_cast<const CallMismatch*>(&error) != nullptr ||
         error.code() == ExitCode::kCannotWrite || error.code() == ExitCode::kCheckpoint ||
         error.code() == ExitCode::kNonFinite || error.code() == ExitCode::kConfiguration;
}

const char* isa_name() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      return "SSE4.1";
    case dnnl::cpu_isa::avx:
      return "AVX";
    case dnnl::cpu_isa::avx2:
      return "AVX2";
    case dnnl::cpu_isa::avx2_vnni:
      return "AVX2 VNNI";
    case dnnl::cpu_isa::avx512_core:
      return "AVX-512";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "AVX-512 VNNI";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "AVX-512 BF16";
    case dnnl::cpu_isa::avx512_core_amx:
      return "AMX";
    default:
      return "other";
  }
}

}  // namespace

int threads_per_rank(const Config& config, int local_ranks) {
  if (config.threads > 0) return static_cast<int>(config.threads);
  cpu_set_t set;
  CPU_ZERO(&set);
  const int online = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const int mine = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : online;
  // Bound ranks have the cores of their binding to themselves; unbound ones share what there is.
  return std::max(1, mine < online ? mine : mine / std::max(1, local_ranks));
}

Job::Job()
    : session_((die_with_launcher(), kStartSeconds)),
      log_(session_.rank()),
      exchange_(std::make_unique<ControlExchange>(session_)) {
  flights_.set_rank(session_.rank(), session_.size(), session_.hostname());
  flights_.set_activity("starting");
  if (session_.size() > 1) watch();
}

void Job::watch() {
  std::vector<ProcessIdentity> processes;
  const std::string mine = ProcessIdentity::own(session_.hostname()).text();
  for (const std::string& text : session_.control().all_gather_bytes(mine)) {
    processes.push_back(ProcessIdentity::parse(text));
  }
  flights_.add(session_.control().flight_record(), "control", session_.size());
  mail_.emplace(session_.progress(), session_.world_ranks(), session_.rank());
  watchdog_.emplace(flights_, *mail_, PeerProcesses(std::move(processes), session_.rank()),
                    kStartSeconds, watchdog_actions());
  session_.progress().set_timeout(std::chrono::duration<double>{0});  // the watchdog's from now on
  session_.progress().set_failed([this](const Error& error) { watchdog_->end_with(error); });
}

Job::~Job() {
  session_.progress().set_failed(nullptr);
}

WatchdogActions Job::watchdog_actions() {
  return {.say = [this](const std::string& text) { log_.error("{}", text); },
          .note = [this](const std::string& text) { log_.note(text); },
          .end_job =
              [this](int code) {
                cancel_exchanges();
                session_.abort(code);
              },
          .leave =
              [this](int code) {
                cancel_exchanges();
                std::fflush(nullptr);
                _exit(code);
              },
          .begin_deadline =
              [](int code) {
                // Whatever hangs on the way, MPI or a disk: the process ends.
                std::thread([code] {
                  std::this_thread::sleep_for(std::chrono::seconds(15));
                  _exit(code);
                }).detach();
              }};
}

int Job::termination_descriptor() const {
  return watchdog_ ? watchdog_->termination_descriptor() : -1;
}

void Job::write_flight_records_to(const std::string& folder, FileAccess access) {
  if (watchdog_) watchdog_->write_records_to(folder, access);
}

void Job::together(const std::function<void()>& work) {
  std::string report = "ok";
  try {
    work();
  } catch (const Error& error) {
    report = fmt::format("{:02}{}", static_cast<int>(error.code()), error.what());
  } catch (const std::exception& error) {
    report = fmt::format("{:02}{}", static_cast<int>(ExitCode::kInternal), error.what());
  }
  const std::vector<std::string> reports = session_.control().all_gather_bytes(report);
  const auto failed =
      std::ranges::find_if(reports, [](const std::string& text) { return text != "ok"; });
  if (failed == reports.end()) return;
  const auto code = static_cast<ExitCode>(std::stoi(failed->substr(0, 2)));
  std::string message = failed->substr(2);
  const bool everywhere =
      std::ranges::all_of(reports, [&](const std::string& text) { return text == *failed; });
  if (!everywhere) message = fmt::format("rank {}: {}", failed - reports.begin(), message);
  throw SharedError(code, message);
}

void Job::open(const Config& config, bool allow_plugins) {
  together([&] {
    register_ops(registry_);
    if (!config.plugins.empty() && !allow_plugins) {
      fail(ExitCode::kUsage,
           "the configuration names plugins, which run code of their own: add --allow-plugins to "
           "the command line to load {}",
           config.plugins.front());
    }
    for (const std::string& plugin : config.plugins) load_plugin(plugin, registry_);
    threads_ = threads_per_rank(config, session_.local_size());
  });
  open_device(config);
  if (watchdog_) watchdog_->set_timeout(config.collectives.timeout);
  if (session_.size() > 1) {
    CommunicatorOptions options;
    options.asked = config.collectives.transport;
    options.timeout = config.collectives.timeout;
    options.on_direct = [this](const SizeLimits& limits) { direct_ = text_of(limits); };
    options.note = [this](const std::string& text) {
      if (session_.rank() == 0) log_.info("{}", text);
    };
    prepare_for_nccl();
    set_crossovers(config, options);
    communicator_ = connect(std::move(options));
    cancellable_.store(communicator_.get());
    say_how_nccl_runs();
    if (config.collectives.check) communicator_->check_calls(create_call_check(session_));
  }
}

void Job::prepare_for_nccl() {
  if (device_->kind() != DeviceKind::kCuda) return;
  nccl_ = prepare_nccl(nccl_logs_, session_.rank());
}

/// As rank 0 reads them, on all ranks.
void Job::set_crossovers(const Config& config, CommunicatorOptions& options) {
  if (device_->kind() != DeviceKind::kCuda) return;
  std::string text;
  together([&] {
    if (session_.rank() != 0) return;
    text = text_of(measured_crossovers(config, machine_of(choice_, threads_), session_.size()));
  });
  const Crossovers crossovers = crossovers_from(session_.control().broadcast_bytes(text, 0));
  options.direct = crossovers.direct;
  options.one_shot_bytes = crossovers.one_shot_bytes;
}

std::unique_ptr<Communicator> Job::connect(CommunicatorOptions options) {
  options.threads = threads_;
  options.log = &flights_;
  options.failed = [this](const Error& error) { watchdog_->end_with(error); };
  try {
    return create_communicator(session_, *device_, options);
  } catch (const Error& error) {
    const bool everywhere =
        error.code() == ExitCode::kConfiguration || error.code() == ExitCode::kEnvironment;
    if (everywhere) throw SharedError(error.code(), error.what());  // all ranks decide alike
    throw;
  }
}

void Job::say_how_nccl_runs() {
  if (session_.rank() != 0 || communicator_->transport() != "nccl") return;
  if (!nccl_.log.empty()) log_.info("NCCL tells what it chooses in {}", nccl_.log);
  if (!nccl_.user.empty()) log_.info("NCCL is steered by {}", text_of(nccl_.user));
}

/// Before the job ends while exchanges may hang on GPUs, which a process cannot always leave. It
/// ends all the same where that takes long.
void Job::cancel_exchanges() {
  Communicator* communicator = cancellable_.load();
  if (communicator == nullptr) return;
  auto done = std::make_shared<std::promise<void>>();
  std::thread([communicator, done] {
    communicator->cancel();
    done->set_value();
  }).detach();
  (void)done->get_future().wait_for(kCancelWait);
}

void Job::open_device(const Config& config) {
  const auto gather = [this](const std::string& text) {
    return session_.control().all_gather_bytes(text);
  };
  try {
    choice_ = choose_device(config, {session_.rank(), session_.local_rank(), session_.local_size(),
                                     session_.hostname(), gather});
  } catch (const Error& error) {
    throw SharedError(error.code(), error.what());  // all ranks decide alike
  }
  if (session_.rank() == 0) {
    if (!choice_.reason.empty()) log_.info("device: cpu, since {}", choice_.reason);
    for (const std::string& warning : choice_.warnings) log_.warning("{}", warning);
  }
  together(
      [&] { device_ = ingot::open_device(choice_, registry_, threads_, session_.local_size()); });
}

Environment Job::environment() const {
  Environment environment;
  environment.device = device_->description();
  environment.isa = choice_.cuda ? choice_.numerics : isa_name();
  environment.transport = communicator_ ? communicator_->transport() : "none";
  if (environment.transport == "nccl") {
    environment.transport += " " + nccl_version_text();
    environment.nccl_variables = nccl_.user;
    environment.direct = direct_;
  }
  environment.ranks = session_.size();
  environment.threads = threads_;
  return environment;
}

int Job::run(const std::function<ExitCode()>& body) {
  try {
    return static_cast<int>(body());
  } catch (const Error& error) {
    const bool watchdog_ends_it = watchdog_ && watchdog_->ending();
    if (session_.size() == 1 || (shared(error) && !watchdog_ends_it)) {
      if (session_.rank() == 0) log_.error("{}", error.what());
      if (watchdog_ && error.code() == ExitCode::kTimeout) watchdog_->write_record();
      return static_cast<int>(error.code());
    }
    end_with(error);
  } catch (const std::exception& error) {
    end_with(Error(ExitCode::kInternal, fmt::format("unexpected: {}", error.what())));
  }
}

void Job::end_with(const Error& error) {
  if (watchdog_) {
    watchdog_->end_with(error);
  } else {
    log_.error("{}", error.what());
  }
  session_.abort(static_cast<int>(error.code()));
}

}  // namespace ingot
