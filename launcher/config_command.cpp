// `ingot config check | show | reference`: the configuration alone, no data and no device.
#include <cstdio>
#include <memory>

#include "launcher/command_line.hpp"
#include "launcher/commands.hpp"
#include "ops/base/error.hpp"
#include "runtime/config/load.hpp"
#include "runtime/config/validate.hpp"

namespace ingot {
namespace {

std::shared_ptr<ConfigCommand> add_arguments(CLI::App& app) {
  auto command = std::make_shared<ConfigCommand>();
  add_config_arguments(app, command->config, command->overrides);
  app.add_option("--ranks", command->ranks, "Ranks that the job will have")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  return command;
}

Config checked(const ConfigCommand& command) {
  Config config = load_config(command.config, command.overrides);
  validate(config, command.ranks);
  return config;
}

}  // namespace

int run_config_check(const ConfigCommand& command) {
  checked(command);
  std::puts(fmt::format("{}: valid for {} rank{}", command.config, command.ranks,
                        command.ranks == 1 ? "" : "s")
                .c_str());
  return 0;
}

int run_config_show(const ConfigCommand& command) {
  std::fputs(render_yaml(checked(command)).c_str(), stdout);
  return 0;
}

int run_config_reference() {
  std::fputs(reference_markdown().c_str(), stdout);
  return 0;
}

void declare_config_check(CLI::App& app, Action& action) {
  const auto command = add_arguments(app);
  app.callback([command, &action] { action = [command] { return run_config_check(*command); }; });
}

void declare_config_show(CLI::App& app, Action& action) {
  const auto command = add_arguments(app);
  app.callback([command, &action] { action = [command] { return run_config_show(*command); }; });
}

void declare_config_reference(CLI::App& app, Action& action) {
  app.callback([&action] { action = [] { return run_config_reference(); }; });
}

}  // namespace ingot
