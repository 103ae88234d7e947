// Command line of `ingot train`.
#include <memory>

#include "launcher/command_line.hpp"
#include "launcher/commands.hpp"

namespace ingot {

void declare_train(CLI::App& app, Action& action) {
  const auto options = std::make_shared<TrainOptions>();
  add_config_arguments(app, options->config, options->overrides);
  app.add_flag("--allow-plugins", options->allow_plugins,
               "Load the shared libraries that `plugins` names: runs their code");
  app.callback([options, &action] {
    options->command_line = "ingot train " + options->config;
    for (const std::string& text : options->overrides) options->command_line += " " + text;
    if (options->allow_plugins) options->command_line += " --allow-plugins";
    action = [options] { return run_train(*options); };
  });
}

}  // namespace ingot
