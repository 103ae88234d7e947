#include <chrono>
#include <utility>

#include "collectives/nccl/monitor.hpp"
#include "ops/device/cpu/worker_thread.hpp"

namespace ingot::nccl {
namespace {

constexpr std::chrono::milliseconds kInterval{100};

}  // namespace

Monitor::Monitor(std::function<void(const Error&)> failed)
    : failed_(std::move(failed)), thread_([this] {
        cpu::prepare_worker_thread("ingot nccl");
        run();
      }) {}

Monitor::~Monitor() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void Monitor::add(Monitored& communicator) {
  const std::scoped_lock lock(mutex_);
  communicators_.push_back(&communicator);
}

void Monitor::remove(Monitored& communicator) {
  const std::scoped_lock lock(mutex_);
  std::erase(communicators_, &communicator);
}

void Monitor::cancel() {
  const std::scoped_lock lock(mutex_);
  cancelled_ = true;
  for (Monitored* communicator : communicators_) communicator->abort_exchanges();
}

std::optional<Error> Monitor::first_error() {
  for (Monitored* communicator : communicators_) {
    if (auto error = communicator->background_error()) return error;
  }
  return std::nullopt;
}

void Monitor::run() {
  std::optional<Error> error;
  {
    std::unique_lock lock(mutex_);
    while (!error) {
      changed_.wait_for(lock, kInterval, [&] { return stopping_; });
      if (stopping_ || cancelled_) return;
      error = first_error();
    }
  }
  // Without the lock: who is told may cancel.
  if (failed_) failed_(*error);
}

}  // namespace ingot::nccl
