// Instantiation and replay.
#include "cudart/graph_exec.hpp"

#include <algorithm>
#include <unordered_map>

#include "cudart/capture.hpp"
#include "cudart/graph_run.hpp"
#include "report/traffic.hpp"

namespace gpusim::cudart {
namespace {

std::unordered_map<cudaGraphExec_t, std::shared_ptr<GraphExec>>& execs() {
  static auto* all = new std::unordered_map<cudaGraphExec_t, std::shared_ptr<GraphExec>>;
  return *all;
}

/// Appends the nodes of `graph`; its roots depend on `before`. Returns what ends it.
std::vector<int> flatten(const Graph& graph, const std::vector<int>& before, Plan& plan) {
  const std::vector<GraphNode*> order = graph.order();
  if (order.empty()) {
    require(graph.nodes.empty(), cudaErrorInvalidValue);
    return before;
  }
  std::map<const GraphNode*, std::vector<int>> ends;
  std::map<const GraphNode*, bool> followed;
  for (GraphNode* node : order) {
    std::vector<int> dependencies = node->dependencies.empty() ? before : std::vector<int>{};
    for (GraphNode* dependency : node->dependencies) {
      followed[dependency] = true;
      for (int end : ends[dependency]) dependencies.push_back(end);
    }
    std::sort(dependencies.begin(), dependencies.end());
    dependencies.erase(std::unique(dependencies.begin(), dependencies.end()), dependencies.end());
    if (auto* child = dynamic_cast<const ChildGraphOperation*>(node->operation.get())) {
      ends[node] = flatten(child->graph(), dependencies, plan);
      continue;
    }
    PlanNode flat;
    flat.number = node->number;
    flat.operation = node->operation;
    flat.dependencies = std::move(dependencies);
    ends[node] = {static_cast<int>(plan.nodes.size())};
    plan.nodes.push_back(std::move(flat));
  }
  std::vector<int> result;
  for (GraphNode* node : order) {
    if (followed[node]) continue;
    result.insert(result.end(), ends[node].begin(), ends[node].end());
  }
  return result;
}

/// A node continues the branch of a dependency that nothing else has continued.
void cut_branches(Plan& plan) {
  std::vector<int> tail;  // the last node of each branch
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    PlanNode& node = plan.nodes[i];
    node.branch = -1;
    for (int dependency : node.dependencies) {
      const int branch = plan.nodes[static_cast<std::size_t>(dependency)].branch;
      if (tail[static_cast<std::size_t>(branch)] != dependency) continue;
      node.branch = branch;
      break;
    }
    if (node.branch < 0) {
      node.branch = static_cast<int>(tail.size());
      tail.push_back(0);
    }
    tail[static_cast<std::size_t>(node.branch)] = static_cast<int>(i);
  }
  plan.branches = static_cast<int>(tail.size());
}

/// For GPUSIM_REPORT; the runtime's lock is held.
void count_launch(GraphExec& exec, int device) {
  if (options().report.empty()) return;
  static std::uint64_t graphs = 0;
  if (exec.report_number == 0) exec.report_number = ++graphs;
  report::GraphNodes nodes;
  nodes.branches = static_cast<std::uint64_t>(exec.plan->branches);
  for (const PlanNode& node : exec.plan->nodes) {
    nodes.edges += node.dependencies.size();
    if (!node.enabled) continue;
    const std::string_view kind = node.operation->report_kind();
    ++(kind == "kernel"    ? nodes.kernels
       : kind == "library" ? nodes.library
       : kind == "copy"    ? nodes.copies
       : kind == "fill"    ? nodes.fills
       : kind == "host"    ? nodes.host
                           : nodes.other);
  }
  report::add_graph_launch(exec.report_number, device, nodes);
}

}  // namespace

std::shared_ptr<const Plan> make_plan(const Graph& graph) {
  auto plan = std::make_shared<Plan>();
  flatten(graph, {}, *plan);
  cut_branches(*plan);
  return plan;
}

const PlanNode* GraphExec::find(std::uint64_t number) const {
  for (const PlanNode& node : plan->nodes) {
    if (node.number == number) return &node;
  }
  return nullptr;
}

void GraphExec::replace(std::uint64_t number, OperationPointer operation) {
  auto changed = std::make_shared<Plan>(*plan);
  for (PlanNode& node : changed->nodes) {
    if (node.number == number) node.operation = operation;
  }
  plan = std::move(changed);
}

void GraphExec::enable(std::uint64_t number, bool enabled) {
  auto changed = std::make_shared<Plan>(*plan);
  for (PlanNode& node : changed->nodes) {
    if (node.number == number) node.enabled = enabled;
  }
  plan = std::move(changed);
}

std::shared_ptr<GraphExec> exec_of(cudaGraphExec_t handle) {
  std::lock_guard lock(Runtime::instance().mutex);
  auto found = execs().find(handle);
  require(found != execs().end(), cudaErrorInvalidValue);
  return found->second;
}

cudaGraphExec_t new_exec(const Graph& graph, unsigned long long flags) {
  auto exec = std::make_shared<GraphExec>();
  exec->plan = make_plan(graph);
  exec->source = graph.clone();
  exec->flags = flags;
  std::lock_guard lock(Runtime::instance().mutex);
  execs()[exec->handle()] = exec;
  return exec->handle();
}

void delete_exec(cudaGraphExec_t handle) {
  std::shared_ptr<GraphExec> exec = exec_of(handle);
  std::lock_guard lock(Runtime::instance().mutex);
  execs().erase(handle);
}

cudaError_t launch(const std::shared_ptr<GraphExec>& exec, const StreamPointer& stream) {
  Runtime& runtime = Runtime::instance();
  {
    std::lock_guard lock(runtime.mutex);
    if (stream->capture != nullptr) {
      auto child =
          std::make_shared<ChildGraphOperation>(std::shared_ptr<Graph>(exec->source->clone()));
      capture_operation(*stream, child);
      return cudaSuccess;
    }
    refuse_implicit_capture(*stream);
    auto run = std::make_shared<GraphRun>(exec->plan);
    std::vector<CompletionPointer> waits;
    if (exec->last != nullptr) waits.push_back(exec->last);
    for (const PlanNode& node : exec->plan->nodes) {
      // What a wait node waits for is decided when the graph is launched.
      auto* wait = dynamic_cast<const EventWaitOperation*>(node.operation.get());
      if (wait != nullptr && wait->event()->last != nullptr) waits.push_back(wait->event()->last);
    }
    Clock inside;
    if (options().check_streams) {
      std::vector<CompletionPointer> all = waits;
      for (CompletionPointer& wait : implicit_waits(*stream)) all.push_back(std::move(wait));
      inside = run->place(*exec, clock_before(*stream, all), stream->name());
    }
    run->record_events();
    count_launch(*exec, stream->device().physical);
    exec->last = enqueue_locked(*stream, run, std::move(waits), &inside);
  }
  if (options().deterministic) stream->run_inline();
  return cudaSuccess;
}

}  // namespace gpusim::cudart
