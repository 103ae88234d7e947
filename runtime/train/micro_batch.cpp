#include "runtime/train/micro_batch.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "ops/base/text.hpp"
#include "ops/base/units.hpp"
#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/load.hpp"
#include "runtime/config/load.hpp"
#include "runtime/config/validate.hpp"

namespace ingot {

namespace {

/// batch.micro at most, as the configuration's schema has it, and tokens in one pass.
constexpr std::int64_t kMostMicro = 1 << 24;
constexpr std::int64_t kMostTokens = std::int64_t{1} << 31;

std::int64_t most_micro(const Config& config) {
  return config.model.kind == "gpt" ? std::min(kMostMicro, kMostTokens / config.model.context)
                                    : kMostMicro;
}

/// The batch of the run that this configuration would resume, as far as manifests tell: its state
/// is verified later, when it is loaded.
std::optional<BatchConfig> batch_to_resume(const Config& config, const std::string& folder) {
  if (config.resume == "none") return {};
  std::vector<std::string> places;
  const auto add_steps = [&](const std::string& directory) {
    for (const std::int64_t step : list_steps(directory)) {
      places.push_back(directory + "/" + step_name(step));
    }
  };
  if (config.resume == "auto") {
    add_steps(folder);
  } else {
    places.push_back(config.resume);
    add_steps(config.resume + "/checkpoints");
    add_steps(config.resume);
  }
  for (const std::string& place : places) {
    try {
      const Checkpoint checkpoint = open_checkpoint(place);
      return parse_config_text(checkpoint.training().config, place).batch;
    } catch (const Error&) {
      continue;  // whoever loads it says what is wrong
    }
  }
  return {};
}

[[noreturn]] void refuse_memory(const Config& config, const MicroBounds& bounds,
                                std::int64_t least) {
  fail(ExitCode::kConfiguration,
       "batch.micro: auto: even with 1 a rank needs {}, and it may have {} ({}): use a smaller "
       "model, train.precision: bf16, or for gpt model.recompute: layer; `ingot plan` shows what "
       "takes the memory",
       approximate_bytes(static_cast<double>(least)),
       approximate_bytes(static_cast<double>(bounds.available)),
       config.batch.memory > 0 ? "batch.memory" : "nine tenths of what is free");
}

struct Decision {
  std::int64_t micro = 0;
  std::int64_t global = 0;
  std::string line;
};

Decision decide(const PlanInputs& inputs, const MicroBounds& bounds) {
  const Config& config = inputs.config;
  const int ranks = inputs.place.ranks;
  const std::optional<BatchConfig> resumed = batch_to_resume(config, bounds.folder);
  Config candidate = config;
  if (candidate.batch.global == 0 && resumed && resumed->global > 0) {
    candidate.batch.global = resumed->global;
    if (candidate.batch.global % ranks != 0) {
      fail(ExitCode::kConfiguration,
           "batch.micro: auto: the run that is resumed has {} samples per step, which {} ranks "
           "cannot share: start it with a number of ranks that divides them, or set resume: none",
           candidate.batch.global, ranks);
    }
  }
  const auto bytes_of = [&](std::int64_t micro) {
    candidate.batch.micro = micro;
    return bytes_with_micro({candidate, inputs.data, inputs.registry, inputs.device, inputs.place,
                             inputs.host_computes, inputs.exchange_bytes},
                            micro);
  };
  Decision decision;
  const auto settle = [&](std::int64_t micro, std::int64_t bytes, const char* why) {
    decision.micro = micro;
    decision.global = candidate.batch.global > 0 ? candidate.batch.global : micro * ranks;
    decision.line = fmt::format("batch.micro: auto is {} ({}): a rank needs {} of {}", micro, why,
                                approximate_bytes(static_cast<double>(bytes)),
                                approximate_bytes(static_cast<double>(bounds.available)));
  };
  if (resumed && candidate.batch.global == resumed->global && resumed->micro > 0 &&
      candidate.batch.global % (resumed->micro * ranks) == 0) {
    const std::int64_t bytes = bytes_of(resumed->micro);
    if (bytes <= bounds.available) {
      settle(resumed->micro, bytes, "as the run began with");
      return decision;
    }
  }
  const MicroFit fit =
      largest_micro(micro_candidates(candidate, ranks, true), bounds.available, bytes_of);
  if (fit.micro == 0) refuse_memory(config, bounds, fit.bytes);
  settle(fit.micro, fit.bytes, "the largest that fits");
  return decision;
}

/// The least of what the ranks have.
std::int64_t least_of(const std::vector<std::string>& texts) {
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (const std::string& text : texts) least = std::min(least, parse_integer(text).value_or(0));
  return least;
}

}  // namespace

MicroCandidates micro_candidates(const Config& config, int ranks, bool powers) {
  const std::int64_t most = most_micro(config);
  if (config.batch.global > 0) {
    const std::int64_t share = config.batch.global / ranks;
    std::vector<std::int64_t> divisors;
    for (std::int64_t divisor = 1; divisor * divisor <= share; ++divisor) {
      if (share % divisor != 0) continue;
      divisors.push_back(divisor);
      if (divisor * divisor != share) divisors.push_back(share / divisor);
    }
    std::ranges::sort(divisors);
    while (divisors.back() > most) divisors.pop_back();
    const auto count = static_cast<std::int64_t>(divisors.size());
    return {count, [divisors = std::move(divisors)](std::int64_t index) {
              return divisors[static_cast<std::size_t>(index)];
            }};
  }
  if (powers) {
    return {static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(most))),
            [](std::int64_t index) { return std::int64_t{1} << index; }};
  }
  return {most, [](std::int64_t index) { return index + 1; }};
}

MicroFit largest_micro(const MicroCandidates& candidates, std::int64_t available,
                       const std::function<std::int64_t(std::int64_t micro)>& bytes_of) {
  MicroFit fit;
  const auto fits = [&](std::int64_t index) {
    const std::int64_t micro = candidates.at(index);
    const std::int64_t bytes = bytes_of(micro);
    if (bytes > available) {
      if (fit.micro == 0) fit.bytes = bytes;
      return false;
    }
    fit = {micro, bytes};
    return true;
  };
  std::int64_t good = -1;
  std::int64_t bad = candidates.count;
  // Steps double until one is too far.
  for (std::int64_t next = 0; next < candidates.count; next = 2 * next + 1) {
    if (!fits(next)) {
      bad = next;
      break;
    }
    good = next;
  }
  while (bad - good > 1) {
    const std::int64_t middle = good + (bad - good) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return fit;
}

std::int64_t bytes_with_micro(const PlanInputs& inputs, std::int64_t micro) {
  Config config = inputs.config;
  config.batch.micro = micro;
  const PlannedRun run =
      plan_run({config, inputs.data, inputs.registry, inputs.device, inputs.place});
  const std::int64_t bytes =
      total_bytes(memory_table(run.plan, run.options)) + inputs.exchange_bytes;
  return bytes + (inputs.host_computes ? checkpoint_buffer_bytes(run.plan, run.options) : 0);
}

void require_memory(const EnginePlan& plan, const EngineOptions& options, const Registry& registry,
                    Device& device) {
  // What exchanges take is taken already: it counts on both sides.
  const std::int64_t available = device.available_bytes() + options.exchange_bytes;
  const std::int64_t needed = total_bytes(memory_table(plan, options)) + options.exchange_bytes;
  if (needed <= available) return;
  std::string rows;
  for (const MemoryUse& use : estimate_run(plan, options).memory) {
    rows += fmt::format("\n  {:<18}{:>10}", name_of(use.kind),
                        approximate_bytes(static_cast<double>(use.bytes)));
  }
  EngineOptions other = options;
  if (!options.training) other.config.batch.global = 0;  // it evaluates any number at once
  const ParallelPlan& parallel = plan.parallel;
  const MicroFit fit = largest_micro(
      micro_candidates(other.config, parallel.ranks, false), available, [&](std::int64_t micro) {
        other.config.batch.micro = micro;
        if (other.config.batch.global > 0) {
          other.micro_batches = accumulation_steps(other.config, parallel.ranks);
        }
        const RankPlace place{parallel.ranks, parallel.rank, options.node_ranks};
        const EnginePlan smaller = plan_engine(
            other, registry, device, plan_parallel(other.config, place, other.micro_batches));
        return total_bytes(memory_table(smaller, other)) + options.exchange_bytes;
      });
  const std::string advice =
      fit.micro > 0 ? fmt::format("The largest batch.micro that fits is {}", fit.micro)
                    : "Not even batch.micro 1 fits: use a smaller model, train.precision: bf16, or "
                      "for gpt model.recompute: layer";
  fail(ExitCode::kGpu,
       "{}: out of memory: with batch.micro {} this run takes {}, and {} are free. {}.{}",
       device.description(), options.config.batch.micro,
       approximate_bytes(static_cast<double>(needed)),
       approximate_bytes(static_cast<double>(available)), advice, rows);
}

std::string choose_micro_batch(Config& config, const PlanInputs& inputs, const MicroBounds& bounds,
                               RankExchange& exchange) {
  // 0: a rank does not know.
  const std::vector<std::string> found = exchange.gather(fmt::format("{}", bounds.available));
  const std::string text = agreed_text(exchange, [&] {
    MicroBounds tightest = bounds;
    tightest.available = least_of(found);
    if (tightest.available == 0) {
      fail(ExitCode::kConfiguration,
           "batch.micro: auto: how much memory is free is not known here: set batch.memory");
    }
    const Decision decision = decide(inputs, tightest);
    return fmt::format("{} {} {}", decision.micro, decision.global, decision.line);
  });
  const std::size_t first = text.find(' ');
  const std::size_t second = text.find(' ', first + 1);
  config.batch.micro = parse_integer(text.substr(0, first)).value_or(0);
  config.batch.global = parse_integer(text.substr(first + 1, second - first - 1)).value_or(0);
  // It has done its work, and would mean nothing beside a number.
  config.batch.memory = 0;
  config.origins.places.erase("batch.memory");
  validate(config, inputs.place.ranks);
  return text.substr(second + 1);
}

}  // namespace ingot
