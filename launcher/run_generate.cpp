// `ingot generate`: text from a trained gpt, printed as it is sampled.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "launcher/commands.hpp"
#include "launcher/fill_registry.hpp"
#include "launcher/job.hpp"
#include "launcher/loaded_model.hpp"
#include "runtime/data/tokenizer/tokenizer.hpp"
#include "runtime/generate/generator.hpp"
#include "runtime/generate/sampling.hpp"
#include "runtime/train/agreed_algorithms.hpp"

namespace ingot {

namespace {

/// Prints what is new of the decoded text, never half a UTF-8 character.
class TextPrinter {
 public:
  explicit TextPrinter(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void add(std::uint32_t token) {
    pending_ += tokenizer_.decode(std::span(&token, 1));
    text_ += tokenizer_.decode(std::span(&token, 1));
    flush(complete_prefix(pending_));
  }
  /// Prints what is left, however incomplete.
  void finish() { flush(pending_.size()); }
  /// Everything that was sampled.
  const std::string& text() const { return text_; }

 private:
  /// Bytes up to the last complete UTF-8 character; bytes that are no UTF-8 count as complete.
  static std::size_t complete_prefix(const std::string& bytes) {
    for (std::size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
      const auto byte = static_cast<unsigned char>(bytes[bytes.size() - back]);
      if ((byte & 0xC0U) == 0x80U) continue;  // a continuation byte: look further back
      const std::size_t wanted = byte >= 0xF0U ? 4 : byte >= 0xE0U ? 3 : byte >= 0xC0U ? 2 : 1;
      return wanted > back ? bytes.size() - back : bytes.size();
    }
    return bytes.size();
  }
  void flush(std::size_t count) {
    std::fwrite(pending_.data(), 1, count, stdout);
    std::fflush(stdout);
    pending_.erase(0, count);
  }

  const Tokenizer& tokenizer_;
  std::string pending_;
  std::string text_;
};

std::string prompt_text(const GenerateOptions& options) {
  if (options.prompt != "-") return options.prompt;
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

ExitCode generate(const GenerateOptions& options) {
  check_sampling(options.sampling);
  const Checkpoint checkpoint = resolve_checkpoint(
      options.run, [](const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); });
  Config config = checkpoint_config(checkpoint);
  config.device = options.device;
  if (config.model.kind != "gpt") {
    fail(ExitCode::kUsage, "{}: a model of kind '{}' cannot generate text; use ingot evaluate",
         checkpoint.path, config.model.kind);
  }
  if (checkpoint.training().tokenizer.empty()) {
    fail(ExitCode::kUsage,
         "{}: its data set had no tokenizer, so tokens cannot be turned into text",
         checkpoint.path);
  }
  const auto tokenizer = restore_tokenizer(checkpoint.training().tokenizer, checkpoint.path);

  Registry registry;
  fill_registry(registry, config, options.allow_plugins);
  const DeviceChoice choice = choose_device(config, {.host = "this machine", .all_gather = {}});
  for (const std::string& warning : choice.warnings) std::fprintf(stderr, "%s\n", warning.c_str());
  const std::unique_ptr<Device> device =
      open_device(choice, registry, threads_per_rank(config, 1), 1);
  const DType type = config.train.precision == "bf16" ? DType::kBf16 : DType::kF32;
  if (choice.cuda) {
    Logger log(0);
    load_algorithms(matrix_algorithms(), config.tuning, log);
  }
  Generator generator(config.model, checkpoint.training().model_data, type, registry, *device);
  load_weights(checkpoint, generator.store(), options.average);
  generator.weights_changed();

  const std::string prompt = prompt_text(options);
  std::vector<std::uint32_t> tokens = tokenizer->encode(prompt);
  const auto end = tokenizer->end_of_text();
  if (tokens.empty()) tokens.push_back(end.value_or(0));  // something has to be fed first
  if (options.show_prompt) std::fwrite(prompt.data(), 1, prompt.size(), stdout);

  TextPrinter printer(*tokenizer);
  std::span<const float> logits = generator.feed(tokens);
  for (std::int64_t position = 0; position < options.tokens; ++position) {
    // A model's vocabulary may be padded beyond the tokenizer's.
    const std::size_t known =
        std::min(logits.size(), static_cast<std::size_t>(tokenizer->vocabulary()));
    const std::uint32_t token =
        sample_token(logits.first(known), options.sampling, static_cast<std::uint64_t>(position));
    if (end && token == *end) break;
    printer.add(token);
    if (!options.stop.empty() && printer.text().find(options.stop) != std::string::npos) break;
    if (position + 1 < options.tokens) logits = generator.feed(std::span(&token, 1));
  }
  printer.finish();
  std::fputc('\n', stdout);
  return ExitCode::kDone;
}

}  // namespace

int run_generate(const GenerateOptions& options) {
  return static_cast<int>(generate(options));
}

}  // namespace ingot
