// How ranks exchange buffers: the contract that every transport fulfils.
//
// Calls are asynchronous in the order of a stream, like kernels: a call returns at once, the
// exchange begins when the stream reaches it, and later work of the stream begins when it is
// complete. All ranks of a communicator make the same calls in the same order. Counts are in
// elements.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "ops/device/device.hpp"
#include "ops/tensor.hpp"

namespace ingot {

enum class ReduceOperation : std::uint8_t { kSum, kMin, kMax };

std::string_view name_of(ReduceOperation operation);

/// Names a collective in messages and in the flight record: "bucket 3", "barrier before save".
struct CollectiveLabel {
  const char* what = "";  ///< a text that lives as long as the communicator
  std::int32_t index = -1;
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual std::string transport() const = 0;  ///< "mpi", "shm", ...
  /// Makes what calls on `stream` with up to this many bytes (`from` and `to` together) need, while
  /// a run starts: later ones allocate nothing and can be recorded.
  virtual void reserve(Stream& /*stream*/, std::int64_t /*bytes*/) {}

  /// In place: every rank's data[0..count) becomes the reduction over ranks. bf16 is summed in f32
  /// and rounded once per hop.
  virtual void all_reduce(void* data, std::int64_t count, DType type, ReduceOperation operation,
                          Stream& stream, CollectiveLabel label) = 0;
  /// from holds size()*count elements; rank r's `to` gets the reduction of block r.
  virtual void reduce_scatter(void* to, const void* from, std::int64_t count, DType type,
                              ReduceOperation operation, Stream& stream, CollectiveLabel label) = 0;
  /// Every rank's `from` of `count` elements lands in block rank of everybody's `to`.
  virtual void all_gather(void* to, const void* from, std::int64_t count, DType type,
                          Stream& stream, CollectiveLabel label) = 0;
  /// Block r of `from` (count elements) goes to rank r, into block rank() of its `to`.
  virtual void all_to_all(void* to, const void* from, std::int64_t count, DType type,
                          Stream& stream, CollectiveLabel label) = 0;
  virtual void broadcast(void* data, std::int64_t count, DType type, int root, Stream& stream,
                         CollectiveLabel label) = 0;
  virtual void barrier(Stream& stream, CollectiveLabel label) = 0;

  /// A communicator of the ranks that pass the same color, ordered by key, then by rank. Collective
  /// and blocking.
  virtual std::unique_ptr<Communicator> split(int color, int key) = 0;
  /// Gives up: ends the job with this exit code; other ranks are told. Does not return.
  [[noreturn]] virtual void abort(int exit_code) = 0;
};

}  // namespace ingot
