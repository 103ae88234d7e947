// What the report tells beside the counters of kernels: bytes over links, graphs, and what the host
// has put into streams one by one.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace gpusim::report {

/// A collective library moved bytes from one device to another, on the other side of a network
/// where `network` says so (then `to` is the number on that machine). Any thread, as all here.
void add_transfer(int from, int to, bool network, std::uint64_t bytes);

/// What one launch of an executable graph runs: enabled nodes by kind.
struct GraphNodes {
  std::uint64_t kernels = 0;  ///< of the program
  std::uint64_t library = 0;  ///< kernels of cuBLAS and NCCL, one for each of their calls
  std::uint64_t copies = 0, fills = 0, host = 0;
  std::uint64_t other = 0;  ///< events, memory, empty nodes
  std::uint64_t edges = 0;
  std::uint64_t branches = 0;
};
/// `graph`: a number per executable graph of the process.
void add_graph_launch(std::uint64_t graph, int device, const GraphNodes& nodes);

/// One piece of work put into a stream outside of graphs: "kernel", "library", "copy", "fill",
/// "host", "graph", "other".
void add_submission(const char* kind);

/// NCCL has handed out, taken back, registered or deregistered memory: "allocated", "freed",
/// "registered", "deregistered"; or somebody wanted to export such memory, "exports_refused".
void add_library_memory(const char* what, std::uint64_t bytes);

/// Adds "links", "graphs", "submitted", "nccl_memory" to the document. `remote` are the bytes of
/// kernels.
void write_traffic(nlohmann::ordered_json& document, const nlohmann::ordered_json& remote);

}  // namespace gpusim::report
