// Command line of `ingot evaluate`.
#include <memory>

#include "launcher/command_line.hpp"
#include "launcher/commands.hpp"

namespace ingot {

void declare_evaluate(CLI::App& app, Action& action) {
  const auto options = std::make_shared<EvaluateOptions>();
  app.add_option("RUN", options->run, "A run directory (its newest checkpoint) or a checkpoint")
      ->required();
  app.add_option("--data", options->data, "Data set to measure on; default: the run's validation");
  app.add_option("--batch", options->batch, "Samples per pass; 0: the run's batch.micro")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--thresholds", options->thresholds,
                 "Binary classifiers: probabilities to report precision and recall at")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1.0))
      ->default_str("0.1,0.25,0.5,0.75,0.9");
  app.add_option("--device", options->device, "auto, cpu or cuda, whatever the run trained on")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  app.add_flag("--average", options->average, "Use the averaged weights (optimizer.ema)");
  app.add_flag("--allow-plugins", options->allow_plugins,
               "Load the shared libraries that the run used: runs their code");
  app.callback([options, &action] { action = [options] { return run_evaluate(*options); }; });
}

}  // namespace ingot
