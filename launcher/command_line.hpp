// The command line of `ingot`: a table of commands, each of which declares its options and says
// what runs. Help texts and COMMANDS.md are generated from what parses.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace ingot {

/// What the command line asked for; empty until a command was parsed.
using Action = std::function<int()>;

/// Where and how a command is declared.
struct CommandEntry {
  const char* name;     ///< "train", "data import"
  const char* summary;  ///< one line
  /// Adds options to `app` and arranges that parsing it sets `action`. What it allocates lives as
  /// long as `app` and `action`.
  void (*declare)(CLI::App& app, Action& action);
};

void declare_train(CLI::App& app, Action& action);
void declare_generate(CLI::App& app, Action& action);
void declare_evaluate(CLI::App& app, Action& action);
void declare_data_import(CLI::App& app, Action& action);
void declare_data_inspect(CLI::App& app, Action& action);
void declare_data_train_tokenizer(CLI::App& app, Action& action);
void declare_config_check(CLI::App& app, Action& action);
void declare_config_show(CLI::App& app, Action& action);
void declare_config_reference(CLI::App& app, Action& action);
void declare_plan(CLI::App& app, Action& action);
void declare_bench_ops(CLI::App& app, Action& action);
void declare_bench_collectives(CLI::App& app, Action& action);

/// All commands in the order in which help lists them.
std::span<const CommandEntry> command_table();

/// Parses and runs; returns the exit code. Errors are printed once: under mpirun by rank 0 alone
/// where every rank runs into the same one. `arguments` leaves the program's name out.
int run_command_line(const std::vector<std::string>& arguments);

/// The reference of all commands and options, as in launcher/COMMANDS.md.
std::string commands_markdown();

/// Options and help that both train and the config commands take.
void add_config_arguments(CLI::App& app, std::string& config, std::vector<std::string>& overrides);

}  // namespace ingot
