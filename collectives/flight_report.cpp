#include "collectives/flight_report.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

using nlohmann::json;

constexpr CollectiveKind kKinds[] = {CollectiveKind::kAllReduce, CollectiveKind::kReduceScatter,
                                     CollectiveKind::kAllGather, CollectiveKind::kAllToAll,
                                     CollectiveKind::kBroadcast, CollectiveKind::kBarrier};
constexpr ReduceOperation kOperations[] = {ReduceOperation::kSum, ReduceOperation::kMin,
                                           ReduceOperation::kMax};
constexpr DType kTypes[] = {DType::kF32, DType::kBf16, DType::kF64, DType::kU8,
                            DType::kU16, DType::kI32,  DType::kU32, DType::kI64};

template <typename T, std::size_t N>
T value_named(const std::string& name, const T (&values)[N]) {
  const auto* found =
      std::find_if(values, values + N, [&](T value) { return name_of(value) == name; });
  if (found == values + N) fail(ExitCode::kBadData, "flight record: unknown name '{}'", name);
  return *found;
}

bool reduces(CollectiveKind kind) {
  return kind == CollectiveKind::kAllReduce || kind == CollectiveKind::kReduceScatter;
}

const char* state_of(const FlightCall& call) {
  if (call.failed) return "failed";
  if (call.checking) return "compared";
  if (call.starts == 0) return "enqueued";
  return call.in_flight() ? "started" : "finished";
}

/// A null where the time has not come.
json time(double seconds) {
  return seconds > 0 ? json(seconds) : json(nullptr);
}

double time_from(const json& value) {
  return value.is_null() ? 0 : value.get<double>();
}

json to_value(const FlightCall& call) {
  json value = {{"sequence", call.sequence},
                {"label", call.label},
                {"operation", name_of(call.kind)},
                {"type", name_of(call.type)},
                {"count", call.count},
                {"bytes", call.bytes()},
                {"state", state_of(call)},
                {"starts", call.starts},
                {"finishes", call.finishes},
                {"enqueued", time(call.enqueued)},
                {"started", time(call.started)},
                {"moved", time(call.moved)},
                {"finished", time(call.finished)}};
  if (reduces(call.kind)) value["reduction"] = name_of(call.operation);
  if (call.kind == CollectiveKind::kBroadcast) value["root"] = call.root;
  return value;
}

FlightCall call_from(const json& value) {
  FlightCall call;
  call.sequence = value.at("sequence");
  call.label = value.at("label");
  call.kind = value_named(value.at("operation"), kKinds);
  call.type = value_named(value.at("type"), kTypes);
  call.count = value.at("count");
  call.failed = value.at("state") == "failed";
  call.checking = value.at("state") == "compared";
  call.starts = value.at("starts");
  call.finishes = value.at("finishes");
  call.enqueued = time_from(value.at("enqueued"));
  call.started = time_from(value.at("started"));
  call.moved = time_from(value.at("moved"));
  call.finished = time_from(value.at("finished"));
  if (reduces(call.kind)) call.operation = value_named(value.at("reduction"), kOperations);
  if (call.kind == CollectiveKind::kBroadcast) call.root = value.at("root");
  return call;
}

}  // namespace

bool FlightCall::same_call(const FlightCall& other) const {
  return kind == other.kind && type == other.type && count == other.count && label == other.label &&
         (!reduces(kind) || operation == other.operation) &&
         (kind != CollectiveKind::kBroadcast || root == other.root);
}

std::string describe(const FlightCall& call) {
  const CollectiveCall described{.kind = call.kind,
                                 .label = {call.label.c_str(), -1},
                                 .count = call.count,
                                 .type = call.type,
                                 .operation = call.operation,
                                 .root = call.root};
  return describe(described);
}

const FlightCall* FlightReport::Group::longest_in_flight() const {
  const FlightCall* longest = nullptr;
  for (const FlightCall& call : calls) {
    if (!call.in_flight()) continue;
    if (longest == nullptr || call.last_move() < longest->last_move()) longest = &call;
  }
  return longest;
}

const FlightCall* FlightReport::Group::last_finished() const {
  const FlightCall* last = nullptr;
  for (const FlightCall& call : calls) {
    if (call.finishes == 0) continue;
    if (last == nullptr || call.finished >= last->finished) last = &call;
  }
  return last;
}

const FlightCall* FlightReport::Group::find(std::uint64_t sequence) const {
  const auto found = std::ranges::find(calls, sequence, &FlightCall::sequence);
  return found == calls.end() ? nullptr : &*found;
}

const FlightReport::Group* FlightReport::find(std::string_view name) const {
  const auto found = std::ranges::find(groups, name, &Group::name);
  return found == groups.end() ? nullptr : &*found;
}

void FlightReport::keep_last(std::size_t calls) {
  for (Group& group : groups) {
    const std::size_t all = group.calls.size();
    if (all <= calls) continue;
    const std::uint64_t oldest = group.calls[all - calls].sequence;
    std::erase_if(group.calls, [&](const FlightCall& call) {
      return call.sequence < oldest && !call.in_flight() && !call.failed;
    });
  }
}

std::string to_json(const FlightReport& report) {
  json groups = json::array();
  for (const FlightReport::Group& group : report.groups) {
    json calls = json::array();
    for (const FlightCall& call : group.calls) calls.push_back(to_value(call));
    groups.push_back({{"name", group.name}, {"size", group.size}, {"calls", std::move(calls)}});
  }
  const json document = {{"version", 1},
                         {"rank", report.rank},
                         {"ranks", report.ranks},
                         {"host", report.host},
                         {"pid", report.pid},
                         {"step", report.step < 0 ? json(nullptr) : json(report.step)},
                         {"activity", report.activity},
                         {"written", report.written},
                         {"communicators", std::move(groups)}};
  return document.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

FlightReport parse_flight_report(std::string_view text) {
  try {
    const json document = json::parse(text);
    FlightReport report;
    report.rank = document.at("rank");
    report.ranks = document.at("ranks");
    report.host = document.at("host");
    report.pid = document.at("pid");
    const json& step = document.at("step");
    report.step = step.is_null() ? -1 : step.get<std::int64_t>();
    report.activity = document.at("activity");
    report.written = document.at("written");
    for (const json& value : document.at("communicators")) {
      FlightReport::Group group{value.at("name"), value.at("size"), {}};
      for (const json& call : value.at("calls")) group.calls.push_back(call_from(call));
      report.groups.push_back(std::move(group));
    }
    return report;
  } catch (const json::exception& error) {
    fail(ExitCode::kBadData, "not a flight record: {}", error.what());
  }
}

}  // namespace ingot
