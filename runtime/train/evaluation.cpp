#include "runtime/train/evaluation.hpp"

#include <algorithm>
#include <cstring>

namespace ingot {

namespace {

/// Appends the bytes of a trivially copyable array to a message, its length first.
template <typename T>
void append(std::string& message, const std::vector<T>& values) {
  const auto count = static_cast<std::uint64_t>(values.size());
  message.append(reinterpret_cast<const char*>(&count), sizeof count);
  if (!values.empty()) {
    message.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }
}

/// Takes an array off the front of a message that append() wrote.
template <typename T>
std::vector<T> take(std::string_view& message) {
  std::uint64_t count = 0;
  ensure(message.size() >= sizeof count, "a complete message of another rank");
  std::memcpy(&count, message.data(), sizeof count);
  message.remove_prefix(sizeof count);
  ensure(count <= message.size() / sizeof(T), "a complete message of another rank");
  std::vector<T> values(count);
  if (count > 0) std::memcpy(values.data(), message.data(), count * sizeof(T));
  message.remove_prefix(count * sizeof(T));
  return values;
}

/// What one rank found, by batch.
struct Part {
  std::vector<double> losses;   // per sample
  std::vector<double> counted;  // per batch
  std::vector<std::int32_t> labels;
  std::vector<float> logits;
};

}  // namespace

EvaluationResult evaluate(Engine& engine, EvaluationFeed& feed, std::int64_t rows,
                          std::int64_t samples, RankExchange& exchange) {
  engine.complete_weights();
  const std::int64_t total = samples == 0 ? feed.samples() : std::min(samples, feed.samples());
  const std::int64_t batches = (total + rows - 1) / rows;
  Part mine;
  bool table = false;
  for (std::int64_t k = exchange.rank(); k < batches; k += exchange.size()) {
    const FeedBatch& batch = feed.batch(k * rows);
    engine.load(batch.tensors);
    engine.evaluate();
    const auto losses = engine.sample_losses();
    mine.losses.insert(mine.losses.end(), losses.begin(), losses.end());
    mine.counted.push_back(batch.counted);
    if (batch.labels.empty()) continue;
    table = true;
    mine.labels.insert(mine.labels.end(), batch.labels.begin(), batch.labels.end());
    const auto logits = engine.logits();
    mine.logits.insert(mine.logits.end(), logits.begin(), logits.end());
  }
  if (engine.evaluates_together()) {
    // Ranks with a batch less take part in the others' last one; what comes of it is not used.
    const std::int64_t rounds = (batches + exchange.size() - 1) / exchange.size();
    if (static_cast<std::int64_t>(mine.counted.size()) < rounds) engine.evaluate();
  }
  std::string message;
  append(message, mine.losses);
  append(message, mine.counted);
  append(message, mine.labels);
  append(message, mine.logits);

  EvaluationResult result;
  result.samples = total;
  const std::vector<std::string> messages = exchange.gather(message);
  if (exchange.rank() == 0) {
    std::vector<Part> parts;
    for (std::string_view rest : messages) {
      parts.push_back(
          {take<double>(rest), take<double>(rest), take<std::int32_t>(rest), take<float>(rest)});
    }
    double sum = 0;
    const auto width = static_cast<std::size_t>(rows);
    for (std::int64_t k = 0; k < batches; ++k) {
      const Part& part = parts[static_cast<std::size_t>(k % exchange.size())];
      const auto at = static_cast<std::size_t>(k / exchange.size());
      for (std::size_t i = 0; i < width; ++i) sum += part.losses[at * width + i];
      result.counted += part.counted[at];
      if (!table) continue;
      const std::size_t per_row = part.logits.size() / part.labels.size();
      result.logits_per_row = static_cast<std::int64_t>(per_row);
      for (std::size_t i = at * width; i < (at + 1) * width; ++i) {
        if (part.labels[i] < 0) continue;  // padding
        result.labels.push_back(part.labels[i]);
        const auto first = part.logits.begin() + static_cast<std::ptrdiff_t>(i * per_row);
        result.logits.insert(result.logits.end(), first,
                             first + static_cast<std::ptrdiff_t>(per_row));
      }
    }
    result.loss = sum / std::max(result.counted, 1.0);
  }
  std::vector<double> agreed = {result.loss, result.counted};
  std::string numbers;
  append(numbers, agreed);
  const std::string received = exchange.broadcast(numbers);
  std::string_view rest = received;
  agreed = take<double>(rest);
  result.loss = agreed.at(0);
  result.counted = agreed.at(1);
  return result;
}

}  // namespace ingot
