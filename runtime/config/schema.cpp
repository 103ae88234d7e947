#include "runtime/config/schema.hpp"

#include "runtime/config/config.hpp"

namespace ingot {

namespace {

using namespace yaml;

// Bounds that no sensible job reaches; they keep products of sizes inside 64 bits.
constexpr double kMostSteps = 1e12;
constexpr double kMostWidth = 1 << 20;

Schema run_schema() {
  return {
      "run",
      "The run and its folder.",
      {text("name", &RunConfig::name, "Name of the run: letters, digits, `.`, `_` and `-`."),
       text("dir", &RunConfig::dir,
            "The run's own folder: configuration, logs, metrics and checkpoints.")
           .default_is("`runs/` and the name"),
       unsigned_integer("seed", &RunConfig::seed,
                        "Seed of everything random: initial weights, order of the data, dropout."),
       boolean("private", &RunConfig::private_,
               "Whether files are readable by their owner only (0600, folders 0700).")}};
}

Schema mixture_schema() {
  return {
      "mixture",
      "Several training sets instead of `data.train`, drawn from in proportion to their weights.",
      {text("path", &DataSource::path, "The data set.").required(),
       real("weight", &DataSource::weight, {.least = 0, .above_least = true},
            "Share of the samples, relative to the other weights; 1 where it is left out.")}};
}

Schema data_schema() {
  return {"data",
          "Data sets, made by `ingot data import`. Exactly one of `train` and `mixture` is given.",
          {text("train", &DataConfig::train, "The training set, an HDF5 file."),
           text("validation", &DataConfig::validation,
                "The validation set. With neither this key nor the default's file, there is no "
                "evaluation.")
               .default_is("`data.train` with `.validation` before its extension, if it exists"),
           mapping_list("mixture", &DataConfig::mixture, mixture_schema())}};
}

std::vector<Key> gpt_keys() {
  std::vector<Key> keys = {
      integer("layers", &ModelConfig::layers, {.least = 1, .most = 4096}, "Transformer layers."),
      integer("width", &ModelConfig::width, {.least = 1, .most = kMostWidth},
              "Width of the residual stream."),
      integer("heads", &ModelConfig::heads, {.least = 1, .most = 65536},
              "Attention heads; they divide `width`."),
      integer("kv_heads", &ModelConfig::kv_heads, {.least = 0, .most = 65536},
              "Heads of keys and values (grouped-query attention); they divide `heads`. 0: as many "
              "as `heads`."),
      integer("hidden", &ModelConfig::hidden, {.least = 0, .most = kMostWidth},
              "Width of the feed-forward layer. 0: 4 x `width` with gelu, 8/3 x `width` rounded up "
              "to a multiple of 64 with swiglu."),
      integer("context", &ModelConfig::context, {.least = 1, .most = kMostWidth},
              "Tokens of a sequence."),
      integer("vocabulary", &ModelConfig::vocabulary, {.least = 0, .most = 1 << 24},
              "Rows of the token embedding. 0: what the data set says."),
      choice("norm", &ModelConfig::norm, {"layernorm", "rmsnorm"}, "Normalisation."),
      choice("positions", &ModelConfig::positions, {"learned", "rope"},
             "How positions enter: a learned embedding, or rotated queries and keys."),
      real("rope_base", &ModelConfig::rope_base, {.least = 1, .above_least = true},
           "Base of the rotations' wavelengths.")
          .only_with("model.positions", {"rope"}),
      boolean("tied", &ModelConfig::tied,
              "Whether the output projection shares the token embedding."),
      boolean("bias", &ModelConfig::bias, "Whether linear layers and layernorm have biases."),
      real("norm_epsilon", &ModelConfig::norm_epsilon, {.least = 0, .most = 1, .above_least = true},
           "Added to the variance before the square root."),
      boolean("document_mask", &ModelConfig::document_mask,
              "Whether attention stays inside a document."),
      boolean("reset_positions", &ModelConfig::reset_positions,
              "Whether positions count from the document's start."),
      choice("recompute", &ModelConfig::recompute, {"none", "layer", "attention"},
             "What backward computes again instead of keeping it: saves memory, costs time, "
             "changes no bit."),
      real("init_std", &ModelConfig::init_std, {.least = 0, .most = 10, .above_least = true},
           "Standard deviation of initial weights.")};
  for (Key& key : keys) key = std::move(key).only_with("model.kind", {"gpt"});
  return keys;
}

std::vector<Key> mlp_keys() {
  std::vector<Key> keys = {
      integer_list("hidden_layers", &ModelConfig::hidden_layers, {.least = 1, .most = kMostWidth},
                   "Widths of the hidden layers."),
      integer("embedding", &ModelConfig::embedding, {.least = 1, .most = 65536},
              "Width of the embedding of each categorical column."),
      real("positive_weight", &ModelConfig::positive_weight, {.least = 0, .above_least = true},
           "Weight in the binary loss of rows labelled 1.")};
  for (Key& key : keys) key = std::move(key).only_with("model.kind", {"mlp"});
  return keys;
}

Schema model_schema() {
  Schema schema = {
      "model",
      "What is trained.",
      {choice("kind", &ModelConfig::kind, {"gpt", "mlp"},
              "A decoder-only transformer for tokens, or a multi-layer perceptron for tables."),
       choice("activation", &ModelConfig::activation, {"gelu", "swiglu", "relu"},
              "Of the feed-forward layers: gelu (tanh form) or swiglu with gpt, relu or gelu with "
              "mlp. custom:NAME is the op NAME of a library under `plugins`, with gpt.")
           .or_named(kCustomActivation),
       real("dropout", &ModelConfig::dropout, {.least = 0, .most = 1, .below_most = true},
            "Probability with which activations are dropped in training.")}};
  for (auto&& keys : {gpt_keys(), mlp_keys()}) {
    schema.keys.insert(schema.keys.end(), keys.begin(), keys.end());
  }
  return schema;
}

Schema batch_schema() {
  return {
      "batch",
      "Sizes in sequences (gpt) or rows (mlp).",
      {integer("micro", &BatchConfig::micro, {.least = 1, .most = 1 << 24},
               "Per rank and forward pass. auto: the largest that `memory` has room for, of the "
               "divisors of `global` / ranks where `global` is given, else of the powers of two; "
               "the run's folder records the number. A run that is resumed keeps its number where "
               "that still divides and fits.")
           .or_word("auto", kAutoMicro),
       integer("global", &BatchConfig::global, {.least = 0, .most = 1LL << 32},
               "Per optimizer step over all ranks, a multiple of `micro` x ranks; what does not "
               "fit into one pass is accumulated. 0: `micro` x ranks."),
       bytes("memory", &BatchConfig::memory, {.least = 0, .most = 1LL << 50},
             "Memory of a rank that `micro: auto` may fill, as `ingot plan` counts it. 0: nine "
             "tenths of what is free when the job starts; on the CPU, the rank's share of that.")
           .only_with("batch.micro", {"auto"})}};
}

Schema train_schema() {
  return {"train",
          "When training ends, and how it computes. The first limit that is reached ends it; at "
          "least one is set.",
          {integer("steps", &TrainConfig::steps, {.least = 0, .most = kMostSteps},
                   "Optimizer steps. 0: no such limit."),
           count("tokens", &TrainConfig::tokens, {.least = 0, .most = 1e15},
                 "Tokens trained on. 0: no such limit.")
               .only_with("model.kind", {"gpt"}),
           real("epochs", &TrainConfig::epochs, {.least = 0, .most = 1e6},
                "Passes over the training data. 0: no such limit."),
           duration("wall_time", &TrainConfig::wall_time, {.least = 0, .most = 10 * 365 * 86400.0},
                    "Time since the start. 0: no such limit."),
           choice("precision", &TrainConfig::precision, {"f32", "bf16"},
                  "Of weights and activations in compute; master weights, gradients and sums are "
                  "f32."),
           choice("on_nonfinite", &TrainConfig::on_nonfinite, {"abort", "skip"},
                  "What a loss or gradient that is not finite does: end the run, or skip the step.")
               .reserve({"rollback"})}};
}

Schema optimizer_schema() {
  const std::vector<std::string> adaptive = {"adamw", "lion"};
  return {"optimizer",
          "The update of the weights.",
          {choice("kind", &OptimizerConfig::kind, {"adamw", "sgd", "lion"}, "The rule."),
           real("learning_rate", &OptimizerConfig::learning_rate,
                {.least = 0, .most = 1000, .above_least = true},
                "Peak learning rate, which the schedule scales."),
           real("beta1", &OptimizerConfig::beta1, {.least = 0, .most = 1, .below_most = true},
                "Decay of the mean of gradients.")
               .only_with("optimizer.kind", adaptive),
           real("beta2", &OptimizerConfig::beta2, {.least = 0, .most = 1, .below_most = true},
                "Decay of the mean of squared gradients (lion: of the momentum).")
               .only_with("optimizer.kind", adaptive),
           real("epsilon", &OptimizerConfig::epsilon, {.least = 0, .most = 1, .above_least = true},
                "Added to the denominator.")
               .only_with("optimizer.kind", {"adamw"}),
           real("momentum", &OptimizerConfig::momentum, {.least = 0, .most = 1, .below_most = true},
                "Decay of the momentum.")
               .only_with("optimizer.kind", {"sgd"}),
           real("weight_decay", &OptimizerConfig::weight_decay, {.least = 0, .most = 1000},
                "On matrices, never on biases and norms."),
           boolean("decay_embeddings", &OptimizerConfig::decay_embeddings,
                   "Whether weight decay acts on embeddings too."),
           real("clip", &OptimizerConfig::clip, {.least = 0, .most = 1e30},
                "Largest global norm of the gradient. 0: no clipping."),
           real("ema", &OptimizerConfig::ema, {.least = 0, .most = 1, .below_most = true},
                "Decay of the averaged weights. 0: none are kept.")}};
}

Schema schedule_schema() {
  return {"schedule",
          "The learning rate over the steps, as a fraction of `optimizer.learning_rate`.",
          {choice("kind", &ScheduleConfig::kind, {"cosine", "linear", "wsd", "constant"},
                  "Shape after the warm-up; wsd: constant, then a linear decay."),
           integer("warmup", &ScheduleConfig::warmup, {.least = 0, .most = kMostSteps},
                   "Steps of the linear rise at the start."),
           integer("steps", &ScheduleConfig::steps, {.least = 0, .most = kMostSteps},
                   "Length. 0: the number of steps that the limits of `train` come to.")
               .only_with("schedule.kind", {"cosine", "linear", "wsd"}),
           real("floor", &ScheduleConfig::floor, {.least = 0, .most = 1},
                "Last learning rate as a fraction of the peak.")
               .only_with("schedule.kind", {"cosine", "linear", "wsd"}),
           real("decay_fraction", &ScheduleConfig::decay_fraction,
                {.least = 0, .most = 1, .above_least = true},
                "Share of the steps that the final decay takes.")
               .only_with("schedule.kind", {"wsd"})}};
}

Schema parallel_schema() {
  return {
      "parallel",
      "How ranks share the work.",
      {bytes("bucket", &ParallelConfig::bucket, {.least = 1 << 12, .most = 1LL << 34},
             "Gradients that are reduced together, as soon as backward has finished them."),
       choice(
           "reduction", &ParallelConfig::reduction, {"fast", "ordered"},
           "The order in which gradients, norms and losses are added up. fast: the "
           "transport's; it repeats its bits on as many ranks with as many threads. ordered: "
           "one that belongs to the batch, so that a run of a given `batch.micro` and "
           "`batch.global` has the same bits on any number of ranks and threads and in any "
           "mode of `shard`, on CPUs or on GPUs of one kind. `shard: gradients` and `parameters` "
           "then need a power of two of ranks."),
       choice("shard", &ParallelConfig::shard, {"none", "optimizer", "gradients", "parameters"},
              "What each rank keeps only its part of; each word includes those before it. "
              "optimizer: moments and, in bf16, the f32 weights. gradients: they are reduced after "
              "each micro batch. parameters: weights are gathered bucket by bucket before each "
              "use, forward and backward, so that about two buckets of them are in memory. With "
              "gradients and parameters a tied embedding's gradient is whole while backward runs."),
       choice("shard_group", &ParallelConfig::shard_group, {"job", "node"},
              "The ranks that share one state. node: each node keeps a whole one, and gradients "
              "are summed inside nodes before they are across; nodes then need equally many "
              "ranks.")
           .only_with("parallel.shard", {"optimizer", "gradients", "parameters"}),
       choice("wire", &ParallelConfig::wire, {"f32", "bf16"},
              "The type in which gradients travel between ranks. bf16: half the bytes; sums are "
              "made in f32 and rounded.")}};
}

Schema collectives_schema() {
  return {"collectives",
          "How ranks exchange gradients.",
          {choice("transport", &CollectivesConfig::transport,
                  {"auto", "nccl", "mpi", "shm", "hierarchical"},
                  "auto takes the fastest that reaches all ranks; beside NCCL, up to 8 GPUs of one "
                  "node make small calls directly. nccl: GPUs by NCCL alone, one for each rank. "
                  "shm: the ranks of one node read each other's memory. hierarchical: that inside "
                  "of nodes, and mpi between them. The last three move the host's memory; memory "
                  "of GPUs goes through it."),
           duration("timeout", &CollectivesConfig::timeout, {.least = 0, .most = 30 * 86400.0},
                    "How long ranks wait inside a collective, or for each other when saving, "
                    "without anything moving. After that the job ends with exit code 75 and says "
                    "which rank did not come. 0: for ever."),
           boolean("check", &CollectivesConfig::check,
                   "Whether ranks compare operation, type and size of each collective before they "
                   "begin it. For finding a rank that calls something else; costs an exchange per "
                   "collective.")}};
}

Schema fault_schema() {
  std::vector<Key> details = {
      integer("rank", &FaultConfig::rank, {.least = 0, .most = 1 << 24}, "The rank that does it."),
      integer("step", &FaultConfig::step, {.least = 1, .most = kMostSteps}, "In this step."),
      integer("collective", &FaultConfig::collective, {.least = 0, .most = 1e6},
              "Before this collective of the step, counted from 1. 0: before the step; the first "
              "with skip_collective and wrong_size. GPUs record their collectives before the first "
              "step: with nccl these two count what is recorded, whatever the step."),
      duration("seconds", &FaultConfig::seconds, {.least = 0, .most = 86400.0},
               "Pause in each step from `step` on.")};
  const std::vector<std::string> kinds = {
      "kill", "stop", "exit", "exception", "hang", "slow", "skip_collective", "wrong_size"};
  for (Key& key : details) key = std::move(key).only_with("fault.kind", kinds);
  Schema schema = {
      "fault",
      "For tests of ingot itself: a rank that misbehaves on purpose, at a known place.",
      {choice("kind", &FaultConfig::kind,
              {"none", "kill", "stop", "exit", "exception", "hang", "slow", "skip_collective",
               "wrong_size"},
              "kill and stop: SIGKILL and SIGSTOP to itself; exit: ends with code 3; exception: an "
              "error of this rank alone; hang: does nothing any more; slow: pauses; "
              "skip_collective, wrong_size: leaves out a collective, or makes it an element "
              "shorter.")}};
  schema.keys.insert(schema.keys.end(), details.begin(), details.end());
  return schema;
}

Schema environment_schema() {
  return {
      "environment",
      "What the machine has to be like.",
      {choice("require_dedicated", &EnvironmentConfig::require_dedicated, {"strict", "warn", "off"},
              "What a GPU that is cut into parts (MIG), that other processes compute on, or "
              "whose memory had uncorrectable errors does: end the job, be warned of, or "
              "nothing."),
       reserved("require_bare_metal")}};
}

Schema checkpoint_schema() {
  return {
      "checkpoint",
      "What is saved in the run's folder.",
      {integer("every", &CheckpointConfig::every, {.least = 0, .most = kMostSteps},
               "Steps between checkpoints. 0: only at the end."),
       integer("keep", &CheckpointConfig::keep, {.least = 0, .most = 1e6},
               "How many of the newest are kept. 0: all."),
       boolean("at_end", &CheckpointConfig::at_end, "Whether one is saved at the end."),
       boolean("async", &CheckpointConfig::async,
               "With `every`: whether training goes on while a checkpoint is written. Each rank "
               "then keeps a buffer of host memory for its part of the state."),
       integer("max_failures", &CheckpointConfig::max_failures, {.least = 1, .most = 1e6},
               "The run ends, with exit code 73, when this many checkpoints in a row could not "
               "be written. The last one of a run must succeed.")}};
}

Schema evaluate_schema() {
  return {"evaluate",
          "Loss and scores on the validation set.",
          {integer("every", &EvaluateConfig::every, {.least = 0, .most = kMostSteps},
                   "Steps between evaluations. 0: only at the end."),
           integer("batches", &EvaluateConfig::batches, {.least = 0, .most = 1e9},
                   "Global batches of an evaluation. 0: the whole validation set.")}};
}

Schema log_schema() {
  return {"log",
          "What is printed.",
          {integer("every", &LogConfig::every, {.least = 1, .most = kMostSteps},
                   "Steps between lines in a batch log.")}};
}

Schema trace_schema() {
  return {"trace",
          "Timelines of single steps, for Perfetto (ui.perfetto.dev) and chrome://tracing: when "
          "each op and each exchange ran, a file per step and rank in the run's folder `trace`. A "
          "traced step is slower and computes the same bits.",
          {integer("first", &TraceConfig::first, {.least = 1, .most = kMostSteps},
                   "The first step that is traced, counted from 1."),
           integer("steps", &TraceConfig::steps, {.least = 0, .most = 1000},
                   "How many from there on. 0: none.")}};
}

}  // namespace

Schema config_schema() {
  return {
      "Configuration reference",
      "Every key of a job description. Written by `ingot config reference` from the tables that "
      "parse; any key can be set on the command line as `section.key=value`.",
      {choice("device", &Config::device, {"auto", "cpu", "cuda"},
              "What computes. auto: a GPU per rank where each has one that can be used, otherwise "
              "the CPU."),
       integer(
           "threads", &Config::threads, {.least = 0, .most = 1024},
           "CPU threads per rank. 0: the cores that the rank is bound to, shared with the ranks "
           "bound to the same ones."),
       text("tuning", &Config::tuning, "File of this machine's measured figures and algorithms.")
           .default_is("`$XDG_CACHE_HOME/ingot/tuning.yaml`"),
       mapping("run", &Config::run, run_schema()),
       mapping("data", &Config::data, data_schema()),
       mapping("model", &Config::model, model_schema()),
       mapping("batch", &Config::batch, batch_schema()),
       mapping("train", &Config::train, train_schema()),
       mapping("optimizer", &Config::optimizer, optimizer_schema()),
       mapping("schedule", &Config::schedule, schedule_schema()),
       mapping("parallel", &Config::parallel, parallel_schema()),
       mapping("collectives", &Config::collectives, collectives_schema()),
       mapping("environment", &Config::environment, environment_schema()),
       mapping("checkpoint", &Config::checkpoint, checkpoint_schema()),
       mapping("evaluate", &Config::evaluate, evaluate_schema()),
       mapping("log", &Config::log, log_schema()),
       text(
           "resume", &Config::resume,
           "auto: the run's newest checkpoint, if there is one; none: start anew; else the path of "
           "a checkpoint."),
       text("init_from", &Config::init_from,
            "A checkpoint whose weights, and nothing else, are the start."),
       text_list("plugins", &Config::plugins,
                 "Shared libraries with ops; they need `--allow-plugins`, because they run code."),
       mapping("trace", &Config::trace, trace_schema()),
       reserved("check"),
       mapping("fault", &Config::fault, fault_schema())}};
}

}  // namespace ingot
