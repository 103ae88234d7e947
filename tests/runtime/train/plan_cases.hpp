// Configurations whose plans are compared with what engines then hold.
#pragma once

#include <string>
#include <vector>

#include "tests/runtime/train/engine_fixture.hpp"

namespace ingot::test {

struct PlanCase {
  std::string name;
  Config config;
  ModelData data;
  std::int64_t micro_batches = 1;
  int node_ranks = 1;
};

inline PlanCase gpt_case(std::string name, bool llama = false) {
  return {std::move(name), tiny_gpt(llama), {.vocabulary = 29}};
}

inline PlanCase mlp_case() {
  PlanCase plan{"mlp", {}, {.features = 5, .category_columns = 2, .category_rows = 9}};
  plan.config.model.kind = "mlp";
  plan.config.model.activation = "relu";
  plan.config.model.hidden_layers = {16, 8};
  plan.config.model.embedding = 4;
  plan.config.batch.micro = 6;
  return plan;
}

/// What one rank alone can run.
inline std::vector<PlanCase> plan_cases() {
  std::vector<PlanCase> cases = {gpt_case("gpt"), gpt_case("llama", true), mlp_case()};
  const auto add = [&](std::string name, auto change) {
    cases.push_back(gpt_case(std::move(name)));
    change(cases.back());
  };
  add("gpt in bf16", [](PlanCase& plan) { plan.config.train.precision = "bf16"; });
  add("gpt in bf16, accumulated", [](PlanCase& plan) {
    plan.config.train.precision = "bf16";
    plan.micro_batches = 3;
  });
  add("gpt, accumulated", [](PlanCase& plan) { plan.micro_batches = 2; });
  add("gpt, layers recomputed", [](PlanCase& plan) { plan.config.model.recompute = "layer"; });
  add("gpt, averaged, sgd", [](PlanCase& plan) {
    plan.config.optimizer.ema = 0.9;
    plan.config.optimizer.kind = "sgd";
  });
  add("gpt with one sample", [](PlanCase& plan) { plan.config.batch.micro = 1; });
  add("gpt, dropout", [](PlanCase& plan) { plan.config.model.dropout = 0.1; });
  add("gpt, ordered", [](PlanCase& plan) {
    plan.config.parallel.reduction = "ordered";
    plan.micro_batches = 5;
  });
  return cases;
}

/// What takes several ranks.
inline std::vector<PlanCase> plan_cases_of_ranks(int ranks) {
  std::vector<PlanCase> cases = plan_cases();
  const bool power_of_two = (ranks & (ranks - 1)) == 0;
  for (const char* shard : {"optimizer", "gradients", "parameters"}) {
    for (const char* precision : {"f32", "bf16"}) {
      for (const std::int64_t micro_batches : {1, 2}) {
        PlanCase plan = gpt_case(
            fmt::format("gpt, {} sharded, {}, {} micro batches", shard, precision, micro_batches));
        plan.config.parallel.shard = shard;
        plan.config.train.precision = precision;
        plan.config.optimizer.ema = 0.5;
        plan.micro_batches = micro_batches;
        cases.push_back(plan);
        plan.name += ", gradients travel in bf16";
        plan.config.parallel.wire = "bf16";
        cases.push_back(plan);
        if (ranks % 2 == 0) {
          plan.name += ", in nodes";
          plan.config.parallel.shard_group = "node";
          plan.node_ranks = ranks / 2;
          cases.push_back(plan);
        }
      }
    }
  }
  for (const char* shard : {"none", "optimizer", "gradients", "parameters"}) {
    if (!power_of_two && (shard[0] == 'g' || shard[0] == 'p')) continue;
    for (const std::int64_t micro_batches : {1, 3, 4}) {
      PlanCase plan =
          gpt_case(fmt::format("gpt, {} sharded, ordered, {} micro batches", shard, micro_batches));
      plan.config.parallel.shard = shard;
      plan.config.parallel.reduction = "ordered";
      plan.micro_batches = micro_batches;
      cases.push_back(plan);
    }
  }
  return cases;
}

/// Sets batch.global to what the micro batches of the case come to.
inline Config config_of(const PlanCase& plan, int ranks) {
  Config config = plan.config;
  config.batch.global = config.batch.micro * ranks * plan.micro_batches;
  return config;
}

}  // namespace ingot::test
