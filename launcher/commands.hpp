// What each command of `ingot` takes, as plain structs, and the functions that carry the commands
// out. Parsing a command line fills a struct and calls its function; nothing else happens between.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/data/import.hpp"
#include "runtime/data/tokenizer/train_bpe.hpp"
#include "runtime/generate/sampling.hpp"

namespace ingot {

struct TrainOptions {
  std::string config;
  std::vector<std::string> overrides;  ///< "section.key=value"
  bool allow_plugins = false;
  std::string command_line;  ///< for the record
};

struct GenerateOptions {
  std::string run;     ///< a run directory or a checkpoint
  std::string prompt;  ///< "-": standard input
  std::int64_t tokens = 200;
  SamplingOptions sampling;
  std::string stop;  ///< end behind this text; empty: none
  std::string device = "auto";
  bool show_prompt = true;
  bool average = false;
  bool allow_plugins = false;
};

struct EvaluateOptions {
  std::string run;
  std::string data;        ///< empty: the run's validation set
  std::int64_t batch = 0;  ///< samples per pass; 0: the run's batch.micro
  std::string device = "auto";
  bool average = false;
  bool allow_plugins = false;
  std::vector<float> thresholds = {0.1F, 0.25F, 0.5F, 0.75F, 0.9F};  ///< of binary classifiers
};

struct ImportCommand {
  std::vector<std::string> files;
  std::string out;
  std::string format = "auto";
  std::string tokenizer;  ///< empty: bytes where text has to be encoded
  ImportOptions options;
};

struct TrainTokenizerCommand {
  std::vector<std::string> files;
  std::string out;
  std::int64_t vocabulary = 8192;
  std::string pattern = "gpt2";
  BpeTrainingOptions options;
};

struct ConfigCommand {
  std::string config;
  std::vector<std::string> overrides;
  int ranks = 1;
};

struct PlanOptions {
  std::string config;
  std::vector<std::string> overrides;
  int ranks = 1;
  int ranks_per_node = 0;  ///< 0: all on one node
  std::string memory;      ///< of a rank, "80GiB"; empty: what is free here
  std::string device;      ///< empty: the configuration's
  std::string flops;       ///< of matrix products, "989T"; empty: measured ones
  std::string bandwidth;   ///< of memory, "3.35TB/s"
  std::string link;        ///< inside a node, as link_named()
  std::string network;     ///< between nodes
  bool json = false;
  bool programs = false;
  bool allow_plugins = false;
};

struct BenchOpsOptions {
  std::string device = "auto";
  std::string shape = "auto";
  int threads = 0;               ///< of the CPU; 0: all cores that this process may use
  double seconds = 0.1;          ///< of measuring per op
  std::vector<std::string> ops;  ///< empty: all
  bool json = false;
  std::string tuning;  ///< file to write; empty: the default one
  bool write = true;
};

struct BenchCollectivesOptions {
  std::vector<std::string> operations;  ///< empty: all
  std::string least = "1KiB";
  std::string most = "256MiB";
  std::int64_t factor = 4;
  std::string type = "f32";
  std::vector<std::string> transports;  ///< side by side; empty: auto, on GPUs all there are
  std::string device = "auto";
  bool shared = true;     ///< with peers, as a run's memory is
  double seconds = 0.25;  ///< of measuring per row
  bool json = false;
  std::string tuning;  ///< file to write; empty: the default one
  bool write = true;
};

// Each returns the exit code of the process. Errors are thrown, except where a command of several
// ranks has to end them together.

int run_train(const TrainOptions& options);
int run_generate(const GenerateOptions& options);
int run_evaluate(const EvaluateOptions& options);
int run_import(const ImportCommand& command);
int run_inspect(const std::string& path);
int run_train_tokenizer(const TrainTokenizerCommand& command);
int run_config_check(const ConfigCommand& command);
int run_config_show(const ConfigCommand& command);
int run_config_reference();
int run_plan(const PlanOptions& options);
int run_bench_ops(const BenchOpsOptions& options);
int run_bench_collectives(const BenchCollectivesOptions& options);

}  // namespace ingot
