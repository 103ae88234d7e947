#include "runtime/train/fault.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

constexpr int kExitCodeOfFault = 3;

bool of_collectives(const FaultConfig& config) {
  return config.kind == "skip_collective" || config.kind == "wrong_size";
}

}  // namespace

FaultInjector::FaultInjector(const FaultConfig& config, int rank, Communicator* communicator,
                             Logger& log)
    : config_(config),
      communicator_(communicator),
      log_(log),
      active_(config.kind != "none" && config.rank == rank) {
  if (!active_) return;
  log_.warning(
      "FAULT INJECTION is on: this rank will {} in step {}. It is for tests; remove the section "
      "`fault` from the configuration",
      config_.kind, config_.step);
  if (communicator_ == nullptr) return;
  communicator_->tamper_with([this](CollectiveCall& call) { return on_collective(call); });
}

FaultInjector::~FaultInjector() {
  if (active_ && communicator_ != nullptr) communicator_->tamper_with(nullptr);
}

void FaultInjector::begin_step(std::int64_t step) {
  step_ = step;
  collectives_ = 0;
  if (!active_) return;
  if (config_.kind == "slow" && step_ >= config_.step) {
    std::this_thread::sleep_for(std::chrono::duration<double>(config_.seconds));
  } else if (step_ == config_.step && config_.collective == 0 && !of_collectives(config_)) {
    misbehave();
  }
}

bool FaultInjector::on_collective(CollectiveCall& call) {
  ++collectives_;
  const std::int64_t when =
      std::max<std::int64_t>(config_.collective, of_collectives(config_) ? 1 : 0);
  // Calls of GPUs are recorded before the first step and are then made in every step.
  const bool recorded = of_collectives(config_) && communicator_->transport() == "nccl";
  const std::int64_t step = recorded ? 0 : config_.step;
  if (step_ != step || collectives_ != when) return true;
  if (config_.kind == "skip_collective") return false;
  if (config_.kind == "wrong_size") {
    call.count = std::max<std::int64_t>(0, call.count - 1);
  } else {
    misbehave();
  }
  return true;
}

void FaultInjector::misbehave() {
  if (config_.kind == "kill") raise(SIGKILL);
  if (config_.kind == "stop") raise(SIGSTOP);
  if (config_.kind == "exit") _exit(kExitCodeOfFault);
  if (config_.kind == "exception") {
    fail(ExitCode::kInternal, "this error was asked for by fault.kind, in step {}", step_);
  }
  while (config_.kind == "hang") pause();
}

}  // namespace ingot
