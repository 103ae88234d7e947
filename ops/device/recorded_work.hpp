// What a recording starts each time that it is replayed, for devices whose recordings can be asked.
#pragma once

#include <cstdint>

#include "ops/device/device.hpp"

namespace ingot {

/// By kind, what was recorded: the nodes of a CUDA graph.
struct RecordedWork {
  std::int64_t nodes = 0;  ///< of all kinds, events too
  std::int64_t kernels = 0;
  std::int64_t copies = 0;
  std::int64_t fills = 0;
  std::int64_t host_functions = 0;

  RecordedWork& operator+=(const RecordedWork& work) {
    nodes += work.nodes;
    kernels += work.kernels;
    copies += work.copies;
    fills += work.fills;
    host_functions += work.host_functions;
    return *this;
  }
  friend bool operator==(const RecordedWork&, const RecordedWork&) = default;
};

class CountedRecording : public Recording {
 public:
  virtual RecordedWork work() const = 0;
};

}  // namespace ingot
