// Small engines with random batches for tests of whole models.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "runtime/train/engine.hpp"
#include "tests/device.hpp"

namespace ingot::test {

/// A batch of random tokens, or of random table rows, that engines can load.
struct RandomBatch {
  std::vector<std::int32_t> tokens, targets, positions, documents, categories, labels;
  std::vector<std::int64_t> samples;
  std::vector<float> features;

  std::vector<HostTensor> tensors() const {
    const auto host = [](const char* name, const auto& values) {
      return HostTensor{name, values.data(),
                        static_cast<std::int64_t>(values.size() * sizeof(values[0]))};
    };
    std::vector<HostTensor> all;
    if (!tokens.empty()) {
      all = {host(buffer::kTokens, tokens), host(buffer::kTargets, targets),
             host(buffer::kPositions, positions), host(buffer::kDocuments, documents)};
    } else {
      all = {host(buffer::kFeatures, features), host(buffer::kCategories, categories),
             host(buffer::kLabels, labels)};
    }
    all.push_back(host(buffer::kSamples, samples));
    return all;
  }
};

inline RandomBatch random_tokens(std::int64_t batch, std::int64_t length, std::int64_t vocabulary,
                                 unsigned seed, std::int64_t first_sample = 0) {
  std::mt19937 random(seed);
  RandomBatch result;
  for (std::int64_t b = 0; b < batch; ++b) {
    result.samples.push_back(first_sample + b);
    const std::int64_t cut = length / 3 + b;  // where the second document of the row starts
    for (std::int64_t t = 0; t < length; ++t) {
      result.tokens.push_back(static_cast<std::int32_t>(random() % vocabulary));
      result.targets.push_back(t + 1 == cut ? -1
                                            : static_cast<std::int32_t>(random() % vocabulary));
      result.documents.push_back(static_cast<std::int32_t>(t < cut ? 0 : cut));
      result.positions.push_back(static_cast<std::int32_t>(t < cut ? t : t - cut));
    }
  }
  return result;
}

inline double counted(const RandomBatch& batch) {
  double count = 0;
  for (const auto target : batch.tokens.empty() ? batch.labels : batch.targets) {
    count += target >= 0 ? 1 : 0;
  }
  return count;
}

/// A tiny gpt configuration that trains in milliseconds.
inline Config tiny_gpt(bool llama) {
  Config config;
  config.model.layers = 2;
  config.model.width = 32;
  config.model.heads = 4;
  config.model.context = 12;
  config.batch.micro = 3;
  config.parallel.bucket = 1 << 14;
  if (llama) {
    config.model.kv_heads = 2;
    config.model.norm = "rmsnorm";
    config.model.activation = "swiglu";
    config.model.positions = "rope";
    config.model.tied = false;
    config.model.bias = false;
  }
  return config;
}

/// A registry, a device (see tests/device.hpp) and an engine of one rank with initialised weights.
struct OneRank {
  explicit OneRank(const Config& config, ModelData data, std::int64_t micro_batches = 1,
                   int threads = 1)
      : device(make_device(cpu_device, threads)) {
    register_test_ops(registry);
    engine = std::make_unique<Engine>(EngineOptions{config, data, micro_batches, true}, registry,
                                      device, nullptr);
    engine->store().initialise(config.run.seed);
    engine->store().copy_to_average();
    engine->store().refresh_weights(engine->compute_stream());
  }
  /// A flat buffer as the host sees it: on a GPU a copy of what it holds now. Whoever writes into
  /// it calls changed() afterwards.
  std::span<float> flat(const char* name) {
    const TensorView& view = engine->memory().view(name);
    if (device.host_visible()) {
      return {view.as<float>(), static_cast<std::size_t>(view.count())};
    }
    std::vector<float>& mirror = mirrors[name];
    mirror.resize(static_cast<std::size_t>(view.count()));
    engine->memory().transfer().read(mirror.data(), view.data, view.type.bytes());
    return mirror;
  }
  void changed(const char* name) {
    if (device.host_visible()) return;
    const TensorView& view = engine->memory().view(name);
    engine->memory().transfer().write(view.data, mirrors.at(name).data(), view.type.bytes());
  }
  /// Forward and backward of batches that make one step; no update. Returns the loss sum.
  double gradients(const std::vector<RandomBatch>& batches) {
    StepScalars scalars;
    scalars.seed = 7;
    scalars.counted = 0;
    engine->begin_step(scalars);
    for (std::size_t i = 0; i < batches.size(); ++i) {
      engine->load(batches[i].tensors());
      engine->add_counted(counted(batches[i]));
      engine->run_micro(i + 1 == batches.size());
    }
    return engine->finish_step().loss_sum;
  }
  double evaluate(const RandomBatch& batch) {
    engine->store().refresh_weights(engine->compute_stream());
    engine->load(batch.tensors());
    engine->evaluate();
    double sum = 0;
    for (const double loss : engine->sample_losses()) sum += loss;
    return sum;
  }

  Registry registry;
  std::unique_ptr<cpu::CpuDevice> cpu_device;
  Device& device;
  std::map<std::string, std::vector<float>> mirrors;
  std::unique_ptr<Engine> engine;
};

}  // namespace ingot::test
