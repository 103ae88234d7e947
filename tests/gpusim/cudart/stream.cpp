// The thread behind a stream.
#include "cudart/stream.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "cudart/runtime.hpp"

namespace gpusim::cudart {
namespace {

std::atomic<std::uint64_t> streams_made{0};

cudaError_t error_of(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return cudaSuccess;
    case Fault::kIllegalAddress:
      return cudaErrorIllegalAddress;
    case Fault::kMisaligned:
      return cudaErrorMisalignedAddress;
    case Fault::kAssert:
      return cudaErrorAssert;
    case Fault::kTrap:
      return cudaErrorLaunchFailure;
    case Fault::kIllegalInstruction:
      return cudaErrorIllegalInstruction;
    case Fault::kDeadlock:
      return cudaErrorLaunchTimeout;
    case Fault::kStackOverflow:
      return cudaErrorHardwareStackError;
  }
  return cudaErrorUnknown;
}

const char* problem_of(Fault fault) {
  switch (fault) {
    case Fault::kIllegalAddress:
      return "illegal address";
    case Fault::kMisaligned:
      return "misaligned address";
    case Fault::kDeadlock:
      return "deadlock";
    case Fault::kStackOverflow:
      return "stack overflow";
    default:
      return "unsupported";
  }
}

}  // namespace

void perform(const Operation& operation, const RunContext& context,
             const std::shared_ptr<const OrderedWork>& place) {
  Runtime& runtime = Runtime::instance();
  if (runtime.sticky() != cudaSuccess) {
    operation.skip(runtime.sticky());
    return;
  }
  // What a host function tells other threads orders the work that they enqueue then.
  if (place != nullptr && operation.type() == cudaGraphNodeTypeHost) {
    runtime.join_host(place->clock);
  }
  Outcome outcome;
  try {
    outcome = operation.run(context);
  } catch (const std::exception& error) {
    outcome.fault = Fault::kIllegalInstruction;
    outcome.message = operation.name() + ": " + error.what();
  }
  // Asserts and traps are the program's own ways to stop: told, but no finding of a detector.
  if (outcome.fault == Fault::kAssert || outcome.fault == Fault::kTrap) {
    if (!outcome.message.empty()) explain(outcome.message);
  } else if (outcome.fault != Fault::kNone) {
    const std::string text = outcome.message.empty() ? operation.name() : outcome.message;
    report_problem(problem_of(outcome.fault), text);
  }
  if (outcome.error == cudaSuccess) outcome.error = error_of(outcome.fault);
  if (outcome.error != cudaSuccess) runtime.set_sticky(outcome.error);
  if (place != nullptr && !outcome.accesses.empty()) {
    StreamOrder::instance().check(place, outcome.accesses);
  }
  operation.finish();
}

Stream::Stream(Device& device, unsigned flags, int priority, std::string name)
    : device_(device),
      flags_(flags),
      priority_(priority),
      name_(std::move(name)),
      id_(++streams_made),
      timeline_(StreamOrder::instance().new_timeline()),
      random_(options().seed * 0x9e3779b97f4a7c15ULL + id_) {}

Stream::~Stream() = default;

cudaStream_t Stream::handle() {
  return reinterpret_cast<cudaStream_t>(this);
}

void Stream::push(Task task) {
  std::unique_lock lock(mutex_);
  queue_.push_back(std::move(task));
  if (options().deterministic) return;
  if (!started_) {
    started_ = true;
    std::thread([self = shared_from_this()] { self->loop(); }).detach();
    return;
  }
  lock.unlock();
  changed_.notify_one();
}

void Stream::run_inline() {
  std::unique_lock lock(mutex_);
  if (running_inline_) return;  // another thread does
  running_inline_ = true;
  while (!queue_.empty()) {
    Task task = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    perform(task);
    lock.lock();
  }
  running_inline_ = false;
}

void Stream::close() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_one();
}

void Stream::delay() {
  const double mean = options().delay_microseconds;
  if (mean <= 0 || options().deterministic) return;
  std::exponential_distribution<double> distribution(1.0 / mean);
  const double microseconds = std::min(distribution(random_), 20 * mean);
  std::this_thread::sleep_for(std::chrono::duration<double, std::micro>(microseconds));
}

void Stream::perform(const Task& task) {
  for (const CompletionPointer& wait : task.waits) wait->wait();
  delay();
  RunContext context;
  context.device = device_.physical;
  context.stream_name = name_;
  context.enqueued = task.enqueued;
  cudart::perform(*task.operation, context, task.place);
  task.done->signal();
}

void Stream::loop() {
  pthread_setname_np(pthread_self(), "gpusim stream");
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return !queue_.empty() || closing_; });
    if (queue_.empty()) return;
    Task task = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    perform(task);
    task = Task();  // frees what it holds before sleeping
    lock.lock();
  }
}

}  // namespace gpusim::cudart
