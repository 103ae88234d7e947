#include "launcher/command_line.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

#include "ops/base/error.hpp"
#include "ops/base/log.hpp"
#include "ops/base/text.hpp"

namespace ingot {
namespace {

constexpr const char* kVersion = "ingot 0.1.0";
constexpr const char* kDescription =
    "ingot trains neural networks data-parallel; start jobs with mpirun, for instance\n"
    "  mpirun -np 2 ingot train configs/gpt-text.yaml";

constexpr CommandEntry kCommands[] = {
    {"train", "Train the model that a YAML file describes", declare_train},
    {"plan", "Tell what a job needs before it runs: memory, traffic and work of a rank",
     declare_plan},
    {"generate", "Write text with a trained gpt", declare_generate},
    {"evaluate", "Measure a trained model on a data set", declare_evaluate},
    {"data import", "Make a data set of text, JSON lines, CSV or token files", declare_data_import},
    {"data inspect", "Show what is in a data set", declare_data_inspect},
    {"data train-tokenizer", "Learn a byte-level BPE from text", declare_data_train_tokenizer},
    {"config check", "Check a configuration completely, without running anything",
     declare_config_check},
    {"config show", "Print a configuration with every default written out", declare_config_show},
    {"config reference", "Print the reference of all configuration keys", declare_config_reference},
    {"bench ops", "Measure this machine and each op on it, into the tuning file",
     declare_bench_ops},
    {"bench collectives", "Measure how fast ranks exchange buffers, and check the results",
     declare_bench_collectives}};

struct GroupSummary {
  const char* name;
  const char* summary;
};
constexpr GroupSummary kGroups[] = {{"data", "Make and look at data sets"},
                                    {"config", "Check and show configurations"},
                                    {"bench", "Measure this machine"}};

std::string full_name(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name()
                                     : full_name(*app.get_parent()) + " " + app.get_name();
}

/// The parser and what it found.
struct CommandLine {
  CLI::App app{kDescription, "ingot"};
  Action action;
  std::map<std::string, CLI::App*> commands;  ///< by full name
  std::vector<std::string> topic;             ///< of `help`
  bool markdown = false;

  CommandLine() {
    app.require_subcommand(1);
    app.set_version_flag("--version", kVersion, "Print the version and exit");
    app.get_formatter()->column_width(32);
    std::map<std::string, CLI::App*> groups;
    for (const CommandEntry& entry : kCommands) {
      const std::string name = entry.name;
      const auto space = name.find(' ');
      CLI::App* parent = &app;
      if (space != std::string::npos) {
        parent = group(groups, name.substr(0, space));
      }
      CLI::App* command = parent->add_subcommand(
          space == std::string::npos ? name : name.substr(space + 1), entry.summary);
      entry.declare(*command, action);
      commands[name] = command;
    }
    CLI::App* help = app.add_subcommand("help", "Explain a command");
    help->add_option("COMMAND", topic, "Such as `data import`");
    help->add_flag("--markdown", markdown, "Print the reference of all commands");
    help->callback([this] { action = [this] { return print_help(); }; });
  }

  int print_help() {
    if (markdown) {
      std::fputs(commands_markdown().c_str(), stdout);
      return 0;
    }
    CLI::App* about = &app;
    for (const std::string& word : topic) {
      const auto below = about->get_subcommands(
          [&](const CLI::App* command) { return command->get_name() == word; });
      if (below.empty()) {
        fail(ExitCode::kUsage, "no such command: '{}'{}", printable(word),
             did_you_mean(word, names_below(*about)));
      }
      about = below.front();
    }
    // CLI::App::help() of a command that was parsed would explain the one parsed last: `help`.
    std::fputs(about->get_formatter()
                   ->make_help(about, full_name(*about), CLI::AppFormatMode::Normal)
                   .c_str(),
               stdout);
    return 0;
  }

  static std::vector<std::string> names_below(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
    return names;
  }

 private:
  CLI::App* group(std::map<std::string, CLI::App*>& groups, const std::string& name) {
    CLI::App*& found = groups[name];
    if (found == nullptr) {
      for (const GroupSummary& entry : kGroups) {
        if (name == entry.name) found = app.add_subcommand(name, entry.summary);
      }
      ensure(found != nullptr, "a summary for every group of commands");
      found->require_subcommand(1);
    }
    return found;
  }
};

/// The command that parsing had reached when it failed.
const CLI::App* deepest(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  return at;
}

/// The message of a command line that does not parse.
std::string explain(const CLI::ParseError& error, const CLI::App& reached,
                    const std::vector<std::string>& arguments) {
  std::vector<std::string> known = CommandLine::names_below(reached);
  // A command that only groups others and was given a word that is none of them.
  if (!known.empty()) {
    for (const std::string& word : arguments) {
      if (word == reached.get_name() || word.starts_with("-")) continue;
      return fmt::format("no such command: '{}'{}", printable(word), did_you_mean(word, known));
    }
  }
  for (const CLI::Option* option : reached.get_options({})) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  for (const std::string& argument : arguments) {
    const std::string word = argument.substr(0, argument.find('='));
    if (!word.starts_with("--") || std::ranges::find(known, word) != known.end()) continue;
    return error.what() + did_you_mean(word, known);
  }
  return error.what();
}

/// Rank under mpirun or srun, before MPI is initialised; 0 for a process on its own.
int rank_from_environment() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}) {
    if (const char* value = std::getenv(name)) return std::atoi(value);
  }
  return 0;
}

int report(ExitCode code, const std::string& message) {
  if (rank_from_environment() == 0) {
    write_without_signal(2, fmt::format("error: {}\n", message));
  }
  return static_cast<int>(code);
}

std::string cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) {
    text.insert(at, "\\");
  }
  return text;
}

std::string option_row(const CLI::Option& option) {
  std::string name = option.get_name(option.get_positional(), true);
  if (option.get_positional()) name = option.get_name(true);
  std::string text = fmt::format("| `{}`", cell(name));
  text += fmt::format(" | {}", cell(option.get_description()));
  const std::string otherwise = option.get_default_str();
  return text + (otherwise.empty() ? " | |\n" : fmt::format(" | `{}` |\n", cell(otherwise)));
}

}  // namespace

std::span<const CommandEntry> command_table() {
  return kCommands;
}

void add_config_arguments(CLI::App& app, std::string& config, std::vector<std::string>& overrides) {
  app.add_option("CONFIG", config, "The YAML file")->required();
  app.add_option("OVERRIDES", overrides, "section.key=value: set a key of the configuration");
}

std::string commands_markdown() {
  CommandLine line;
  std::string text =
      "# Commands\n\n"
      "Generated by `ingot help --markdown`; a test compares this page with what the program "
      "parses.\n";
  for (const CommandEntry& entry : kCommands) {
    const CLI::App& command = *line.commands.at(entry.name);
    text += fmt::format("\n## ingot {}\n\n{}.\n", entry.name, entry.summary);
    std::string rows;
    for (const CLI::Option* option : command.get_options({})) {
      if (option->get_name() != "--help") rows += option_row(*option);
    }
    if (!rows.empty()) text += "\n| argument | meaning | default |\n|---|---|---|\n" + rows;
  }
  return text;
}

int run_command_line(const std::vector<std::string>& arguments) {
  CommandLine line;
  try {
    // The parser takes arguments from the end of the vector.
    line.app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    return line.action();
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      return rank_from_environment() == 0 ? line.app.exit(error) : 0;  // help and version
    }
    const CLI::App& command = *deepest(line.app);
    return report(ExitCode::kUsage,
                  fmt::format("{} (`{} --help` tells what is accepted)",
                              explain(error, command, arguments), full_name(command)));
  } catch (const Error& error) {
    return report(error.code(), error.what());
  } catch (const std::exception& error) {
    return report(ExitCode::kInternal, fmt::format("unexpected: {}", error.what()));
  }
}

}  // namespace ingot
