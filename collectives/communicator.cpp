#include "collectives/communicator.hpp"

#include "collectives/flight_log.hpp"
#include "ops/base/error.hpp"

namespace ingot {

std::string_view name_of(ReduceOperation operation) {
  switch (operation) {
    case ReduceOperation::kSum:
      return "sum";
    case ReduceOperation::kMin:
      return "min";
    case ReduceOperation::kMax:
      return "max";
  }
  return "?";
}

std::string_view name_of(CollectiveKind kind) {
  switch (kind) {
    case CollectiveKind::kAllReduce:
      return "all_reduce";
    case CollectiveKind::kReduceScatter:
      return "reduce_scatter";
    case CollectiveKind::kAllGather:
      return "all_gather";
    case CollectiveKind::kAllToAll:
      return "all_to_all";
    case CollectiveKind::kBroadcast:
      return "broadcast";
    case CollectiveKind::kBarrier:
      return "barrier";
  }
  return "?";
}

std::string text_of(const CollectiveLabel& label) {
  return label.index < 0 ? label.what : fmt::format("{} {}", label.what, label.index);
}

std::int64_t CollectiveCall::to_bytes(int ranks) const {
  switch (kind) {
    case CollectiveKind::kAllReduce:
    case CollectiveKind::kReduceScatter:
    case CollectiveKind::kBroadcast:
      return bytes();
    case CollectiveKind::kAllGather:
    case CollectiveKind::kAllToAll:
      return bytes() * ranks;
    case CollectiveKind::kBarrier:
      return 0;
  }
  return 0;
}

std::int64_t CollectiveCall::from_bytes(int ranks) const {
  switch (kind) {
    case CollectiveKind::kAllGather:
      return bytes();
    case CollectiveKind::kReduceScatter:
    case CollectiveKind::kAllToAll:
      return bytes() * ranks;
    case CollectiveKind::kAllReduce:
    case CollectiveKind::kBroadcast:
    case CollectiveKind::kBarrier:
      return 0;
  }
  return 0;
}

std::string describe(const CollectiveCall& call) {
  std::string text(name_of(call.kind));
  if (call.kind != CollectiveKind::kBarrier) {
    text += fmt::format(" of {} {}", call.count, name_of(call.type));
  }
  if (call.kind == CollectiveKind::kAllReduce || call.kind == CollectiveKind::kReduceScatter) {
    text += fmt::format(" ({})", name_of(call.operation));
  }
  if (call.kind == CollectiveKind::kBroadcast) text += fmt::format(" from rank {}", call.root);
  return text + ", " + text_of(call.label);
}

Communicator::Communicator() = default;

Communicator::~Communicator() {
  stop_watching();
}

void Communicator::stop_watching() {
  if (log_ != nullptr) log_->remove(flight_);
  log_ = nullptr;
}

FlightEntry& Communicator::begin_step(const char* what) {
  const CollectiveCall call{.label = {what}, .sequence = take_sequence()};
  FlightEntry& entry = flight_.add(call, false);
  entry.start();
  return entry;
}

void Communicator::watch(FlightLog& log, const std::string& name) {
  log_ = &log;
  name_ = log.add(flight_, name, size());
}

void Communicator::submit(CollectiveCall call, Stream& stream) {
  ensure(call.count >= 0, "a number of elements that is not negative");
  if (tamper_ && !tamper_(call)) return;
  // A single rank has nothing to exchange in place, and nobody to wait for.
  if (size() == 1 && (call.in_place() || call.kind == CollectiveKind::kBarrier)) return;
  // Numbered when called, not when started: streams may reach their collectives in another order
  // on each rank. A recorded one keeps its number: its replays have the order of their stream.
  call.sequence = take_sequence();
  call.flight = &flight_.add(call, stream.recording());
  if (whole_ != nullptr) call.flight->belong_to(whole_);
  if (check_) {
    call.flight->begin_check();
    try {
      check_->compare(call);
    } catch (...) {
      call.flight->fail();
      throw;
    }
    call.flight->end_check();
  }
  enqueue(call, stream);
}

void Communicator::all_reduce(void* data, std::int64_t count, DType type, ReduceOperation operation,
                              Stream& stream, CollectiveLabel label) {
  submit({.kind = CollectiveKind::kAllReduce,
          .label = label,
          .to = data,
          .count = count,
          .type = type,
          .operation = operation},
         stream);
}

void Communicator::reduce_scatter(void* to, const void* from, std::int64_t count, DType type,
                                  ReduceOperation operation, Stream& stream,
                                  CollectiveLabel label) {
  submit({.kind = CollectiveKind::kReduceScatter,
          .label = label,
          .to = to,
          .from = from,
          .count = count,
          .type = type,
          .operation = operation},
         stream);
}

void Communicator::all_gather(void* to, const void* from, std::int64_t count, DType type,
                              Stream& stream, CollectiveLabel label) {
  submit({.kind = CollectiveKind::kAllGather,
          .label = label,
          .to = to,
          .from = from,
          .count = count,
          .type = type},
         stream);
}

void Communicator::all_to_all(void* to, const void* from, std::int64_t count, DType type,
                              Stream& stream, CollectiveLabel label) {
  submit({.kind = CollectiveKind::kAllToAll,
          .label = label,
          .to = to,
          .from = from,
          .count = count,
          .type = type},
         stream);
}

void Communicator::broadcast(void* data, std::int64_t count, DType type, int root, Stream& stream,
                             CollectiveLabel label) {
  ensure(root >= 0 && root < size(), "a root that is a rank of the communicator");
  submit({.kind = CollectiveKind::kBroadcast,
          .label = label,
          .to = data,
          .count = count,
          .type = type,
          .root = root},
         stream);
}

void Communicator::barrier(Stream& stream, CollectiveLabel label) {
  submit({.kind = CollectiveKind::kBarrier, .label = label}, stream);
}

std::unique_ptr<Communicator> Communicator::split(int color, int key) {
  std::unique_ptr<Communicator> part = create_split(color, key);
  // The same on all ranks of the part, and unlike that of any other.
  const std::string name = fmt::format("{}/{}:{}", name_, splits_++, color);
  if (log_ != nullptr) part->watch(*log_, name);
  if (check_) part->check_calls(check_->split(color, key));
  return part;
}

}  // namespace ingot
