#include "runtime/generate/generator.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>

#include "runtime/program/fuse.hpp"

namespace ingot {

namespace {

/// Lengths of the programs: decode, then powers of four up to the context.
std::vector<std::int64_t> chunk_lengths(std::int64_t context) {
  std::vector<std::int64_t> lengths = {1};
  for (std::int64_t length = 16; length < context; length *= 4) lengths.push_back(length);
  if (context > 1) lengths.push_back(context);
  return lengths;
}

}  // namespace

Generator::Generator(const ModelConfig& model, const ModelData& data, DType type,
                     const Registry& registry, Device& device)
    : device_(device),
      memory_(device),
      context_(model.context),
      vocabulary_(data.vocabulary),
      compute_(device.create_stream("compute")) {
  std::vector<PreparedProgram> prepared;
  const std::vector<std::int64_t> lengths = chunk_lengths(context_);
  for (const std::int64_t length : lengths) {
    Model graph = build_model(registry, model, data, ModelMode::kGenerate, type, 1, length);
    fuse(graph.graph, {graph.logits});
    // Each length has token and position buffers of its own; caches and logits are shared.
    for (GraphValue& value : graph.graph.values) {
      if (value.role == Role::kInput && value.name != buffer::kScalars) {
        value.name += fmt::format(" {}", length);
      }
    }
    if (!store_) {
      std::vector<int> order(graph.parameters.size());
      std::iota(order.begin(), order.end(), 0);
      store_ = std::make_unique<ParameterStore>(lay_out(graph.parameters, order, 1 << 22), type,
                                                memory_);
    }
    prepared.push_back(prepare_program(graph.graph, store_->layout(),
                                       {.name = length == 1 ? "decode" : "prefill"}, device_));
    memory_.allocate_buffers(prepared.back().program);
    memory_.reserve_arena(prepared.back().program.arena_bytes);
  }
  memory_.allocate_arena();
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    chunks_.push_back(
        {lengths[i], fmt::format(" {}", lengths[i]),
         Executable(std::move(prepared[i]), memory_, device_, {compute_.get(), nullptr})});
  }
  history_.reserve(static_cast<std::size_t>(context_));
  const std::int64_t bytes = context_ * size_of(DType::kI32);
  staged_tokens_ = device_.allocate_host(bytes, "staging");
  staged_positions_ = device_.allocate_host(bytes, "staging");
  staged_scalars_ = device_.allocate_host(sizeof(StepScalars), "staging");
  logits_ = device_.allocate_host(vocabulary_ * size_of(DType::kF32), "logits");
}

void Generator::reset() {
  history_.clear();
}

std::span<const float> Generator::feed(std::span<const std::uint32_t> tokens) {
  ensure(!tokens.empty(), "at least one token to feed");
  for (const std::uint32_t token : tokens) {
    if (token >= static_cast<std::uint64_t>(vocabulary_)) {
      fail(ExitCode::kBadData, "token {} is outside the model's vocabulary of {}", token,
           vocabulary_);
    }
  }
  // Of a prompt longer than the context only the end can matter.
  if (static_cast<std::int64_t>(tokens.size()) > context_) {
    reset();
    tokens = tokens.last(static_cast<std::size_t>(context_));
  }
  const std::int64_t room = context_ - length();
  if (static_cast<std::int64_t>(tokens.size()) > room) {
    const std::int64_t wanted =
        std::min<std::int64_t>(context_ / 2, context_ - static_cast<std::int64_t>(tokens.size()));
    const auto kept = static_cast<std::size_t>(std::min(wanted, length()));
    const std::vector<std::uint32_t> newest(history_.end() - static_cast<std::ptrdiff_t>(kept),
                                            history_.end());
    reset();
    if (!newest.empty()) append(newest);
  }
  append(tokens);
  return {static_cast<const float*>(logits_.data()), static_cast<std::size_t>(vocabulary_)};
}

void Generator::append(std::span<const std::uint32_t> tokens) {
  while (!tokens.empty()) {
    Chunk& chunk = chunk_for(static_cast<std::int64_t>(tokens.size()));
    const std::size_t count = std::min(tokens.size(), static_cast<std::size_t>(chunk.length));
    run(chunk, tokens.first(count));
    tokens = tokens.subspan(count);
  }
}

Generator::Chunk& Generator::chunk_for(std::int64_t tokens) {
  const auto found =
      std::ranges::find_if(chunks_, [&](const Chunk& chunk) { return chunk.length >= tokens; });
  return found == chunks_.end() ? chunks_.back() : *found;
}

void Generator::run(Chunk& chunk, std::span<const std::uint32_t> tokens) {
  StepScalars scalars;
  scalars.cache_length = length();
  scalars.last_position = static_cast<std::int64_t>(tokens.size()) - 1;
  std::memcpy(staged_scalars_.data(), &scalars, sizeof scalars);
  auto* staged_tokens = static_cast<std::int32_t*>(staged_tokens_.data());
  auto* staged_positions = static_cast<std::int32_t*>(staged_positions_.data());
  for (std::int64_t i = 0; i < chunk.length; ++i) {
    const auto at = static_cast<std::size_t>(i);
    // Padding behind the tokens computes something nobody reads; its positions stay in range.
    staged_tokens[at] = at < tokens.size() ? static_cast<std::int32_t>(tokens[at]) : 0;
    staged_positions[at] = static_cast<std::int32_t>(std::min(length() + i, context_ - 1));
  }
  const auto bytes = chunk.length * size_of(DType::kI32);
  device_.copy(*compute_, memory_.view(buffer::kTokens + chunk.suffix).data, staged_tokens, bytes);
  const std::string positions = buffer::kPositions + chunk.suffix;
  if (memory_.has(positions)) {
    device_.copy(*compute_, memory_.view(positions).data, staged_positions, bytes);
  }
  device_.copy(*compute_, memory_.view(buffer::kScalars).data, staged_scalars_.data(),
               sizeof scalars);
  chunk.executable.enqueue();
  device_.copy(*compute_, logits_.data(), memory_.view(buffer::kLogits).data, logits_.bytes());
  compute_->synchronize();
  history_.insert(history_.end(), tokens.begin(), tokens.end());
}

}  // namespace ingot
