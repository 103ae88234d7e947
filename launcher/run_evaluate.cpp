// `ingot evaluate`: the loss, and for tables the classifier's measures, of a checkpoint on a data
// set.
#include <cmath>
#include <cstdio>
#include <optional>

#include "launcher/commands.hpp"
#include "launcher/job.hpp"
#include "launcher/loaded_model.hpp"
#include "runtime/config/load.hpp"
#include "runtime/train/agreed_algorithms.hpp"
#include "runtime/train/evaluation.hpp"

namespace ingot {

namespace {

std::string report(const EvaluationResult& result, const Config& config,
                   const std::vector<float>& thresholds) {
  std::string text = fmt::format("loss {:.6f}", result.loss);
  if (result.logits_per_row == 1) {
    text += fmt::format("\nAUC {:.6f}\naverage precision {:.6f}\naccuracy {:.6f}\n",
                        area_under_roc(result.logits, result.labels),
                        average_precision(result.logits, result.labels),
                        accuracy(result.logits, result.labels, 1));
    std::vector<float> probabilities;
    for (const float logit : result.logits) {
      probabilities.push_back(1.0F / (1.0F + std::exp(-logit)));
    }
    text += render_threshold_report(threshold_report(probabilities, result.labels, thresholds));
  } else if (config.model.kind == "mlp") {
    text += fmt::format("\naccuracy {:.6f}\n",
                        accuracy(result.logits, result.labels, result.logits_per_row));
  } else {
    text += fmt::format("\nperplexity {:.4f}\nbits per token {:.6f}\n", std::exp(result.loss),
                        result.loss / std::log(2.0));
  }
  return text + fmt::format("samples {}\n", result.samples);
}

}  // namespace

int run_evaluate(const EvaluateOptions& options) {
  Job job;
  return job.run([&] {
    std::optional<Checkpoint> checkpoint;
    Config config;
    std::unique_ptr<EvaluationFeed> feed;
    job.together([&] {
      checkpoint = resolve_checkpoint(
          options.run, [&](const std::string& text) { job.log().warning("{}", text); });
      config = checkpoint_config(*checkpoint);
      config.device = options.device;
      if (options.batch > 0) config.batch.micro = options.batch;
      const std::string data = options.data.empty() ? validation_path(config) : options.data;
      if (data.empty()) {
        fail(ExitCode::kUsage, "the run names no validation set: give one with --data");
      }
      feed = open_evaluation(config, data, trained_data(*checkpoint));
    });
    job.open(config, options.allow_plugins);
    const auto prepare = [&](const auto& work) {
      if (!job.choice().cuda) return work();
      prepare_with_agreed_algorithms(matrix_algorithms(), {config.tuning}, job.exchange(),
                                     job.log(), work);
    };
    Engine engine({config, checkpoint->training().model_data, 1, false, prepare}, job.registry(),
                  job.device(), nullptr);
    job.together([&] { load_weights(*checkpoint, engine.store(), options.average); });
    engine.store().refresh_weights(engine.compute_stream());
    const EvaluationResult result = evaluate(engine, *feed, config.batch.micro, 0, job.exchange());
    if (job.session().rank() == 0) {
      job.log().info("checkpoint {}", checkpoint->path);
      job.log().console(report(result, config, options.thresholds));
    }
    return ExitCode::kDone;
  });
}

}  // namespace ingot
