// The programs of an engine before any memory is taken: what they are, and what memory they will
// need, so that a job that does not fit is refused with what would.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "runtime/execute/executable.hpp"
#include "runtime/model/model.hpp"
#include "runtime/program/update.hpp"

namespace ingot {

struct EngineOptions {
  Config config;
  ModelData data;
  std::int64_t micro_batches = 1;  ///< of this rank per step
  bool training = true;            ///< false: only evaluate() works, and no training state is kept
  /// Calls its argument, which prepares the programs and by that chooses algorithms; null: it is
  /// called as it is.
  std::function<void(const std::function<void()>& prepare)> around_preparation = {};
};

struct EnginePlan {
  DType type = DType::kF32;  ///< of weights and activations in compute
  StoreLayout layout;
  std::optional<PreparedProgram> micro;  ///< where a step has several micro batches
  std::optional<PreparedProgram> micro_last;
  std::optional<PreparedProgram> update;
  std::optional<PreparedProgram> evaluate;

  /// Calls visit(program) for each one there is.
  template <typename F>
  void for_each(F visit) const {
    for (const auto* prepared : {&micro, &micro_last, &update, &evaluate}) {
      if (prepared->has_value()) visit((*prepared)->program);
    }
  }
};

/// `reduces`: gradients are summed over ranks.
EnginePlan plan_engine(const EngineOptions& options, const Registry& registry, Device& device,
                       bool reduces);

/// Bytes that the plan takes of the device, by buffer; activations and workspaces are "arena".
std::map<std::string, std::int64_t> memory_table(const EnginePlan& plan,
                                                 const EngineOptions& options);

/// Throws Error(kGpu) with the table and the largest micro batch that fits, where the device has
/// less memory left than the plan takes.
void require_memory(const EnginePlan& plan, const EngineOptions& options, const Registry& registry,
                    Device& device, bool reduces);

}  // namespace ingot
