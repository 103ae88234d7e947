// Command line of `ingot generate`.
#include <memory>

#include "launcher/command_line.hpp"
#include "launcher/commands.hpp"

namespace ingot {

void declare_generate(CLI::App& app, Action& action) {
  const auto options = std::make_shared<GenerateOptions>();
  app.add_option("RUN", options->run, "A run directory (its newest checkpoint) or a checkpoint")
      ->required();
  app.add_option("--prompt", options->prompt, "Text to go on from; - reads standard input");
  app.add_option("--tokens", options->tokens, "Tokens to write at most")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 32))
      ->capture_default_str();
  app.add_option("--temperature", options->sampling.temperature,
                 "Divides the logits; 0: always the most probable token")
      ->capture_default_str();
  app.add_option("--top-k", options->sampling.top_k, "Only the k most probable tokens; 0: all")
      ->capture_default_str();
  app.add_option("--top-p", options->sampling.top_p,
                 "Only the most probable tokens that reach this probability together")
      ->capture_default_str();
  app.add_option("--seed", options->sampling.seed, "The same seed writes the same text")
      ->capture_default_str();
  app.add_option("--stop", options->stop, "End behind this text");
  app.add_flag_callback(
      "--no-prompt", [options] { options->show_prompt = false; }, "Do not print the prompt first");
  app.add_option("--device", options->device, "auto, cpu or cuda, whatever the run trained on")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  app.add_flag("--average", options->average, "Use the averaged weights (optimizer.ema)");
  app.add_flag("--allow-plugins", options->allow_plugins,
               "Load the shared libraries that the run used: runs their code");
  app.callback([options, &action] {
    action = [options] {
      check_sampling(options->sampling);
      return run_generate(*options);
    };
  });
}

}  // namespace ingot
