// Runs a check on every instruction set that this machine has, the scalar fallback included: what a
// kernel promises holds on each of them.
#pragma once

#include <gtest/gtest.h>
#include <hwy/highway.h>

namespace ingot::test {

/// Calls check() once per instruction set that is both compiled and supported, best one first.
template <typename Check>
void for_each_instruction_set(Check check) {
  for (const auto target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    check();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace ingot::test
