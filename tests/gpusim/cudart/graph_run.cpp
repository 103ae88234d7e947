// Replays: the first branch runs on the stream's thread, every other one on a worker. A branch
// waits for nodes of other branches where it depends on them.
#include "cudart/graph_run.hpp"

#include "cudart/workers.hpp"

namespace gpusim::cudart {

GraphRun::GraphRun(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {
  ends_.resize(plan_->nodes.size());
  for (CompletionPointer& end : ends_) end = std::make_shared<Completion>();
  recorded_.resize(plan_->nodes.size());
}

Clock GraphRun::place(GraphExec& exec, const Clock& before, const std::string& stream_name) {
  while (exec.timelines.size() < static_cast<std::size_t>(plan_->branches)) {
    exec.timelines.push_back(StreamOrder::instance().new_timeline());
    exec.counts.push_back(0);
  }
  Clock all;
  places_.resize(plan_->nodes.size());
  for (std::size_t i = 0; i < plan_->nodes.size(); ++i) {
    const PlanNode& node = plan_->nodes[i];
    const auto branch = static_cast<std::size_t>(node.branch);
    auto place = std::make_shared<OrderedWork>();
    place->clock = before;
    for (int dependency : node.dependencies) {
      place->clock.join(places_[static_cast<std::size_t>(dependency)]->clock);
    }
    place->timeline = exec.timelines[branch];
    place->count = ++exec.counts[branch];
    place->clock.set(place->timeline, place->count);
    place->name = node.operation->name();
    place->stream =
        "branch " + std::to_string(node.branch) + " of a graph launched into " + stream_name;
    all.join(place->clock);
    places_[i] = std::move(place);
  }
  return all;
}

void GraphRun::record_events() {
  for (std::size_t i = 0; i < plan_->nodes.size(); ++i) {
    auto* record = dynamic_cast<const EventRecordOperation*>(plan_->nodes[i].operation.get());
    if (record == nullptr || !plan_->nodes[i].enabled) continue;
    recorded_[i] = std::make_shared<Completion>();
    if (!places_.empty()) recorded_[i]->clock = places_[i]->clock;
    record->event()->last = recorded_[i];
    record->event()->captured = false;
  }
}

void GraphRun::run_branch(int branch, const RunContext& context) const {
  for (std::size_t i = 0; i < plan_->nodes.size(); ++i) {
    const PlanNode& node = plan_->nodes[i];
    if (node.branch != branch) continue;
    for (int dependency : node.dependencies) ends_[static_cast<std::size_t>(dependency)]->wait();
    if (node.enabled) {
      perform(*node.operation, context, places_.empty() ? nullptr : places_[i]);
    }
    if (recorded_[i] != nullptr) recorded_[i]->signal();
    ends_[i]->signal();
  }
}

Outcome GraphRun::run(const RunContext& context) const {
  if (options().deterministic) {
    // In order on one thread.
    for (std::size_t i = 0; i < plan_->nodes.size(); ++i) {
      if (plan_->nodes[i].enabled) {
        perform(*plan_->nodes[i].operation, context, places_.empty() ? nullptr : places_[i]);
      }
      if (recorded_[i] != nullptr) recorded_[i]->signal();
    }
    return {};
  }
  for (int branch = 1; branch < plan_->branches; ++branch) {
    run_on_worker(
        [self = shared_from_this(), branch, context] { self->run_branch(branch, context); });
  }
  if (plan_->branches > 0) run_branch(0, context);
  for (const CompletionPointer& end : ends_) end->wait();
  return {};
}

void GraphRun::skip(cudaError_t) const {
  for (const CompletionPointer& recorded : recorded_) {
    if (recorded != nullptr) recorded->signal();
  }
}

}  // namespace gpusim::cudart
