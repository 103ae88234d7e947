// Messages of a launch: where something happened, faults and reports.
#include "execute/context.hpp"

#include "execute/decode/decoder.hpp"

namespace gpusim::execute {
namespace {

std::string triple(const Dim3& d) {
  return "(" + std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z) + ")";
}

}  // namespace

Dim3 thread_of(const Launch& launch, const Warp& warp, int lane) {
  const auto thread = static_cast<std::size_t>(warp.index * kLanes + lane);
  return {launch.thread_index[0][thread], launch.thread_index[1][thread],
          launch.thread_index[2][thread]};
}

std::string Context::line(const Op& op) const {
  return place_of(*launch.program->module, code->instruction(op));
}

std::string Context::where(const Op& op, int lane) const {
  return "kernel " + launch.program->name + " at " + line(op) + ", block " + triple(block->index) +
         " thread " + triple(thread_of(launch, *warp, lane));
}

void Context::fail(Fault fault, const Op& op, int lane, const std::string& what) {
  event = Event::kFault;
  const std::lock_guard lock(launch.mutex);
  if (launch.fault == Fault::kNone) {
    launch.fault = fault;
    launch.message = where(op, lane) + ": " + what;
  }
  launch.stop.store(true, std::memory_order_relaxed);
}

void Context::report(const char* kind, const Op& op, int lane, const std::string& what) {
  {
    // One report per place and kind: a loop would repeat it for ever.
    const std::lock_guard lock(launch.program->reported_mutex);
    const auto key = std::make_tuple(code->function, op.instruction, std::string(kind));
    if (!launch.program->reported.insert(key).second) return;
  }
  report_problem(kind, where(op, lane) + ": " + what);
}

}  // namespace gpusim::execute
