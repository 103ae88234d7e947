// A training job as plain validated structs. Reading YAML into them is schema.cpp's business; what
// is here holds for every job that passed validation. The member initialisers are the documented
// defaults. Names equal the YAML keys.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace ingot {

struct RunConfig {
  std::string name = "run";
  std::string dir;  ///< the run's own folder; default runs/<name>
  std::uint64_t seed = 1;
  bool private_ = false;  ///< YAML `private`: files 0600, folders 0700

  friend bool operator==(const RunConfig&, const RunConfig&) = default;
};

struct DataSource {
  std::string path;
  double weight = 1.0;

  friend bool operator==(const DataSource&, const DataSource&) = default;
};

struct DataConfig {
  std::string train;
  std::string validation;  ///< default: train with `.validation` before its extension, if it exists
  std::vector<DataSource> mixture;  ///< instead of train: weighted sets

  friend bool operator==(const DataConfig&, const DataConfig&) = default;
};

/// What an activation that is a plugin's op begins with; the op's name follows.
constexpr const char* kCustomActivation = "custom:";

struct ModelConfig {
  std::string kind = "gpt";  ///< gpt | mlp
  // gpt
  std::int64_t layers = 6;
  std::int64_t width = 384;
  std::int64_t heads = 6;
  std::int64_t kv_heads = 0;  ///< 0: as heads
  std::int64_t hidden = 0;  ///< feed-forward width; 0: 4 x width (gelu), 8/3 x width rounded up to
                            ///< a multiple of 64 (swiglu)
  std::int64_t context = 256;
  std::int64_t vocabulary = 0;        ///< 0: from the data set
  std::string norm = "layernorm";     ///< layernorm | rmsnorm
  std::string activation = "gelu";    ///< gelu (tanh form) | swiglu | custom:OP; mlp: relu | gelu
  std::string positions = "learned";  ///< learned | rope
  double rope_base = 10000.0;
  bool tied = true;  ///< output projection shares the token embedding
  bool bias = true;  ///< linear and layernorm biases
  double dropout = 0.0;
  double norm_epsilon = 1e-5;
  bool document_mask = false;      ///< attention stays inside a document
  bool reset_positions = false;    ///< positions count from the document's start
  std::string recompute = "none";  ///< none | layer | attention
  double init_std = 0.02;
  // mlp
  std::vector<std::int64_t> hidden_layers = {256, 128};
  std::int64_t embedding = 16;   ///< width of each categorical embedding
  double positive_weight = 1.0;  ///< binary loss: weight of rows labelled 1

  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

/// BatchConfig::micro that is still to be chosen: `auto`.
constexpr std::int64_t kAutoMicro = 0;

struct BatchConfig {
  std::int64_t micro = 4;   ///< sequences or rows per rank and forward pass; kAutoMicro
  std::int64_t global = 0;  ///< per optimizer step over all ranks; 0: micro x ranks
  std::int64_t memory = 0;  ///< bytes of a rank that `auto` may plan with; 0: 9/10 of what is free

  friend bool operator==(const BatchConfig&, const BatchConfig&) = default;
};

struct TrainConfig {
  // Limits; the first one reached ends training. 0: no such limit; at least one is set.
  std::int64_t steps = 0;
  std::int64_t tokens = 0;
  double epochs = 0;
  double wall_time = 0;                ///< seconds
  std::string precision = "f32";       ///< f32 | bf16
  std::string on_nonfinite = "abort";  ///< abort | skip

  friend bool operator==(const TrainConfig&, const TrainConfig&) = default;
};

struct OptimizerConfig {
  std::string kind = "adamw";  ///< adamw | sgd | lion
  double learning_rate = 6e-4;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double momentum = 0.9;         ///< sgd
  double weight_decay = 0.1;     ///< on matrices; never on biases, norms
  bool decay_embeddings = true;  ///< whether weight_decay acts on embeddings too
  double clip = 1.0;             ///< global norm; 0: no clipping
  double ema = 0.0;              ///< decay of the averaged weights; 0: none are kept

  friend bool operator==(const OptimizerConfig&, const OptimizerConfig&) = default;
};

struct ScheduleConfig {
  std::string kind = "cosine";  ///< cosine | linear | wsd | constant
  std::int64_t warmup = 0;      ///< steps
  std::int64_t steps = 0;       ///< length; 0: the run's own number of steps
  double floor = 0.1;           ///< last learning rate as a fraction of the peak
  double decay_fraction = 0.2;  ///< wsd: share of the steps that the final decay takes

  friend bool operator==(const ScheduleConfig&, const ScheduleConfig&) = default;
};

struct ParallelConfig {
  std::int64_t bucket = 4 << 20;    ///< bytes of gradients per reduction
  std::string shard = "none";       ///< none | optimizer | gradients | parameters
  std::string shard_group = "job";  ///< job | node
  std::string reduction = "fast";   ///< fast | ordered
  std::string wire = "f32";         ///< f32 | bf16

  friend bool operator==(const ParallelConfig&, const ParallelConfig&) = default;
};

struct CollectivesConfig {
  std::string transport = "auto";  ///< auto | nccl | mpi | shm | hierarchical
  double timeout = 600;            ///< seconds without progress after which the job ends; 0: never
  bool check = false;              ///< whether ranks compare each call before they make it

  friend bool operator==(const CollectivesConfig&, const CollectivesConfig&) = default;
};

/// What the machine has to be like.
struct EnvironmentConfig {
  std::string require_dedicated = "warn";  ///< strict | warn | off

  friend bool operator==(const EnvironmentConfig&, const EnvironmentConfig&) = default;
};

struct CheckpointConfig {
  std::int64_t every = 0;         ///< steps; 0: only at the end
  std::int64_t keep = 2;          ///< newest ones that are kept; 0: all
  bool async = true;              ///< those of `every` are written while training goes on
  std::int64_t max_failures = 3;  ///< in a row, that end the run
  bool at_end = true;

  friend bool operator==(const CheckpointConfig&, const CheckpointConfig&) = default;
};

struct EvaluateConfig {
  std::int64_t every = 0;    ///< steps; 0: only at the end
  std::int64_t batches = 0;  ///< global batches per evaluation; 0: the whole validation set

  friend bool operator==(const EvaluateConfig&, const EvaluateConfig&) = default;
};

struct LogConfig {
  std::int64_t every = 10;  ///< steps between lines in a batch log

  friend bool operator==(const LogConfig&, const LogConfig&) = default;
};

/// A rank that misbehaves on purpose, for tests.
struct FaultConfig {
  std::string kind = "none";  ///< none | kill | stop | exit | exception | hang | slow |
                              ///< skip_collective | wrong_size
  std::int64_t rank = 0;
  std::int64_t step = 1;        ///< from 1
  std::int64_t collective = 0;  ///< of the step, from 1; 0: before the step
  double seconds = 1;           ///< slow: pause per step

  friend bool operator==(const FaultConfig&, const FaultConfig&) = default;
};

/// Steps whose timeline is written down.
struct TraceConfig {
  std::int64_t first = 10;  ///< counted from 1
  std::int64_t steps = 0;   ///< how many from there on; 0: none

  friend bool operator==(const TraceConfig&, const TraceConfig&) = default;
};

/// Where the values that were written down stand, for messages; two configurations are equal
/// wherever theirs stand.
struct Origins {
  std::string document = "configuration";  ///< file name
  /// Dotted key -> "configs/x.yaml:12:3" or "command line: ...". Defaults have no entry.
  std::map<std::string, std::string, std::less<>> places;

  friend bool operator==(const Origins&, const Origins&) { return true; }
};

struct Config {
  std::string device = "auto";  ///< auto | cpu | cuda
  std::int64_t threads = 0;  ///< CPU threads per rank; 0: cores of the binding divided by its ranks
  std::string tuning;        ///< tuning file; default $XDG_CACHE_HOME/ingot/tuning.yaml
  RunConfig run;
  DataConfig data;
  ModelConfig model;
  BatchConfig batch;
  TrainConfig train;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  ParallelConfig parallel;
  CollectivesConfig collectives;
  EnvironmentConfig environment;
  CheckpointConfig checkpoint;
  EvaluateConfig evaluate;
  LogConfig log;
  TraceConfig trace;
  std::string resume = "auto";       ///< auto | none | checkpoint path
  std::string init_from;             ///< checkpoint whose weights (only) are the start
  std::vector<std::string> plugins;  ///< shared libraries with ops; need --allow-plugins
  FaultConfig fault;
  Origins origins;

  friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace ingot
