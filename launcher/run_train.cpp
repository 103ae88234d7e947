// `ingot train`: from the command line to the training loop.
#include <optional>

#include "launcher/commands.hpp"
#include "launcher/job.hpp"
#include "runtime/config/load.hpp"
#include "runtime/config/validate.hpp"
#include "runtime/metrics/tuning.hpp"
#include "runtime/train/micro_batch.hpp"
#include "runtime/train/trainer.hpp"

namespace ingot {

namespace {

/// Ranks on every node; 0 where nodes differ.
int ranks_of_nodes(Job& job) {
  const Nodes& nodes = job.session().nodes();
  return nodes.even() ? nodes.here() : 0;
}

/// Replaces batch.micro: auto. Collective.
void settle_micro_batch(Job& job, Config& config, const RunData& data,
                        const RunDirectory& directory) {
  MpiSession& session = job.session();
  // What the communicator has taken is part of what a rank needs, as in a plan.
  const std::int64_t exchanges =
      job.communicator() != nullptr ? job.communicator()->memory_bytes() : 0;
  std::int64_t free = free_bytes(job.device(), session.local_size());
  if (free != kUnknownBytes) free += exchanges;
  MicroBounds bounds{config.batch.memory, directory.checkpoints()};
  if (bounds.available == 0 && free != kUnknownBytes) {
    bounds.available = static_cast<std::int64_t>(kPlannedShare * static_cast<double>(free));
  }
  const RankPlace place{session.size(), session.rank(), ranks_of_nodes(job)};
  const std::string line =
      choose_micro_batch(config,
                         {config, data.description().model, job.registry(), job.device(), place,
                          job.device().host_visible(), exchanges},
                         bounds, job.exchange());
  // What was prepared on the way has other sizes: its algorithms are not this run's.
  if (job.choice().cuda) matrix_algorithms().clear();
  if (session.rank() == 0) job.log().info("{}", line);
}

}  // namespace

int run_train(const TrainOptions& options) {
  Job job;
  return job.run([&] {
    Config config;
    std::unique_ptr<RunData> data;
    std::optional<RunDirectory> directory;
    job.together([&] {
      config = load_config(options.config, options.overrides);
      validate(config, job.session().size());
      data = open_run_data(config);
      directory.emplace(config, job.session().rank() == 0);
    });
    job.together([&] {
      const FileAccess access = config.run.private_ ? FileAccess::kPrivate : FileAccess::kShared;
      job.log().open_file(directory->logs(), access);
      job.write_flight_records_to(directory->flight(), access);
      job.write_nccl_logs_to(directory->logs());
    });
    job.open(config, options.allow_plugins);
    if (config.batch.micro == kAutoMicro) settle_micro_batch(job, config, *data, *directory);
    Environment environment = job.environment();
    environment.command_line = options.command_line;
    job.together([&] {
      if (job.session().rank() == 0) directory->describe(config, environment);
    });
    const DType type = config.train.precision == "bf16" ? DType::kBf16 : DType::kF32;
    const double peak =
        measured_matrix_peak(config, type, machine_of(job.choice(), environment.threads));
    const TrainerParts parts{job.registry(),
                             job.device(),
                             job.communicator(),
                             job.exchange(),
                             job.log(),
                             *directory,
                             *data,
                             environment,
                             peak,
                             ranks_of_nodes(job),
                             &job.flights(),
                             job.termination_descriptor()};
    return train(config, parts);
  });
}

}  // namespace ingot
