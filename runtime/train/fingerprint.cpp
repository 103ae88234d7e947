#include "runtime/train/fingerprint.hpp"

#include <fmt/format.h>

#include <dnnl.hpp>
#include <vector>

namespace ingot {

std::string numerics_fingerprint(const Config& config, const Environment& environment,
                                 const std::string& algorithms) {
  const dnnl_version_t* version = dnnl_version();
  std::string text = fmt::format("{}; oneDNN {}.{}.{}; micro batch {}; {} reduction",
                                 environment.isa, version->major, version->minor, version->patch,
                                 config.batch.micro, config.parallel.reduction);
  if (!algorithms.empty()) text += "; algorithms " + algorithms;
  if (config.parallel.reduction == "ordered") return text;
  text += fmt::format("; {} ranks of {} threads", environment.ranks, environment.threads);
  if (environment.ranks > 1) text += " over " + environment.transport;
  // Direct calls add in another order than NCCL.
  if (!environment.direct.empty()) text += ", direct up to " + environment.direct;
  for (const auto& [name, value] : environment.nccl_variables) {
    if (!name.starts_with("NCCL_DEBUG")) text += fmt::format(" {}={}", name, value);
  }
  return text;
}

std::string agreed_fingerprint(const std::string& own, bool ordered, RankExchange& exchange) {
  const std::vector<std::string> all = exchange.gather(own);
  return agreed_text(exchange, [&] {
    for (std::size_t rank = 0; ordered && rank < all.size(); ++rank) {
      if (all[rank] == own) continue;
      fail(ExitCode::kEnvironment,
           "rank {} computes with '{}' and rank 0 with '{}': with parallel.reduction: ordered all "
           "ranks need the same, or bits would depend on where ranks run. Use equal machines and "
           "libraries, or parallel.reduction: fast",
           rank, all[rank], own);
    }
    return own;
  });
}

}  // namespace ingot
