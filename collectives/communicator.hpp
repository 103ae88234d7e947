// How ranks exchange buffers: the contract that every transport fulfils.
//
// Calls are asynchronous in the order of a stream, like kernels: a call returns at once, the
// exchange begins when the stream reaches it, and later work of the stream begins when it is
// complete. All ranks of a communicator make the same calls in the same order. Counts are in
// elements.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "collectives/check.hpp"
#include "collectives/flight_record.hpp"
#include "ops/device/device.hpp"
#include "ops/tensor.hpp"

namespace ingot {

class FlightLog;

enum class ReduceOperation : std::uint8_t { kSum, kMin, kMax };
std::string_view name_of(ReduceOperation operation);

enum class CollectiveKind : std::uint8_t {
  kAllReduce,
  kReduceScatter,
  kAllGather,
  kAllToAll,
  kBroadcast,
  kBarrier
};
std::string_view name_of(CollectiveKind kind);  ///< "all_reduce"

/// Names a collective in messages and in the flight record: "bucket 3", "barrier before save".
struct CollectiveLabel {
  const char* what = "";  ///< a text that lives as long as the communicator
  std::int32_t index = -1;
};
std::string text_of(const CollectiveLabel& label);

/// One call as a transport gets it. Arguments are those of the function of Communicator that
/// `kind` names; operations in place (all_reduce, broadcast) have their data in `to`.
struct CollectiveCall {
  CollectiveKind kind = CollectiveKind::kBarrier;
  CollectiveLabel label = {};
  void* to = nullptr;
  const void* from = nullptr;
  std::int64_t count = 0;
  DType type = DType::kU8;
  ReduceOperation operation = ReduceOperation::kSum;
  int root = 0;
  std::uint64_t sequence = 0;  ///< counts the calls of the communicator, equal on all ranks
  /// Told when the exchange begins and when it is complete on this rank; null in tests of parts.
  FlightEntry* flight = nullptr;

  bool in_place() const {
    return kind == CollectiveKind::kAllReduce || kind == CollectiveKind::kBroadcast;
  }
  std::int64_t bytes() const { return count * size_of(type); }
  /// Bytes behind `to` and `from` among `ranks` ranks; 0 behind an absent one.
  std::int64_t to_bytes(int ranks) const;
  std::int64_t from_bytes(int ranks) const;
};

/// "all_reduce of 4096 f32 (sum), bucket 3".
std::string describe(const CollectiveCall& call);

class Communicator {
 public:
  Communicator();
  virtual ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual std::string transport() const = 0;  ///< "mpi", "shm", ...
  /// Makes what calls on `stream` with up to this many bytes (`from` and `to` together) need, while
  /// a run starts: later ones allocate nothing and can be recorded.
  virtual void reserve(Stream& /*stream*/, std::int64_t /*bytes*/) {}
  /// Lets peers of the node reach this memory directly, where the transport can: collectives on it
  /// then need no copy. Collective and blocking: all ranks share buffers of any size in the same
  /// order while a run starts. The buffer must live until unshare() or until the communicator ends.
  virtual void share(const Buffer& /*buffer*/) {}
  /// Ends what share() began, before the buffer is released. Collective and blocking.
  virtual void unshare(const Buffer& /*buffer*/) {}

  /// In place: every rank's data[0..count) becomes the reduction over ranks. bf16 is summed in f32.
  /// All ranks get the same bits.
  void all_reduce(void* data, std::int64_t count, DType type, ReduceOperation operation,
                  Stream& stream, CollectiveLabel label);
  /// from holds size()*count elements; rank r's `to` gets the reduction of block r. `to` may be the
  /// own block of `from`.
  void reduce_scatter(void* to, const void* from, std::int64_t count, DType type,
                      ReduceOperation operation, Stream& stream, CollectiveLabel label);
  /// Every rank's `from` of `count` elements lands in block rank of everybody's `to`. `from` may be
  /// the own block of `to`.
  void all_gather(void* to, const void* from, std::int64_t count, DType type, Stream& stream,
                  CollectiveLabel label);
  /// Block r of `from` (count elements) goes to rank r, into block rank() of its `to`. The two do
  /// not overlap.
  void all_to_all(void* to, const void* from, std::int64_t count, DType type, Stream& stream,
                  CollectiveLabel label);
  void broadcast(void* data, std::int64_t count, DType type, int root, Stream& stream,
                 CollectiveLabel label);
  /// Returns control to the stream when every rank's stream has come here.
  void barrier(Stream& stream, CollectiveLabel label);

  /// A communicator of the ranks that pass the same color, ordered by key, then by rank. Collective
  /// and blocking.
  std::unique_ptr<Communicator> split(int color, int key);
  /// Bytes of the device's memory that it keeps for itself, as far as ingot allocates them.
  virtual std::int64_t memory_bytes() const { return 0; }
  /// Makes exchanges of this rank that hang on a device return, now that the job is being ended:
  /// their streams have failed, and so do later calls. Also of parts. From any thread; may take
  /// long where a device hangs.
  virtual void cancel() {}
  /// Gives up: ends the job with this exit code; other ranks are told. Does not return.
  [[noreturn]] virtual void abort(int exit_code) = 0;

  /// What this rank's calls are doing; readable from any thread at any time.
  const FlightRecord& flight_record() const { return flight_; }
  /// The calls made from now on are parts of that one, of a communicator that is composed of
  /// several; null: of none.
  void make_parts_of(FlightEntry* whole) { whole_ = whole; }
  /// Puts a call on the stream that was checked, numbered and recorded by the communicator that
  /// leaves it to this one.
  void carry_out(const CollectiveCall& call, Stream& stream) { enqueue(call, stream); }
  /// Makes the calls of this communicator and of what is split off it part of the rank's reports.
  /// All ranks of the job do so in the same order; the log outlives the communicator.
  void watch(FlightLog& log, const std::string& name);
  /// From now on ranks compare each call before they make it, also those of parts.
  void check_calls(std::unique_ptr<CallCheck> check) { check_ = std::move(check); }
  /// For tests of what happens when a rank misbehaves: is given each call of this rank, may change
  /// it, and returns whether it is made at all.
  void tamper_with(std::function<bool(CollectiveCall&)> tamper) { tamper_ = std::move(tamper); }

 protected:
  virtual std::unique_ptr<Communicator> create_split(int color, int key) = 0;
  /// Puts a checked and numbered call on the stream. The transport tells call.flight.
  virtual void enqueue(const CollectiveCall& call, Stream& stream) = 0;
  /// The number of the next call, for what a transport exchanges beside calls.
  std::uint64_t take_sequence() { return sequence_++; }
  /// The entry of a step in which ranks wait for each other and that is not a call: making or
  /// splitting a communicator. It counts as one; `what` lives as long as the communicator.
  FlightEntry& begin_step(const char* what);
  /// Ends reports of this communicator, before what its entries refer to ends.
  void stop_watching();
  /// Its calls in flight have failed, as the transport hears in the background.
  void fail_in_flight() { flight_.fail_in_flight(); }

 private:
  void submit(CollectiveCall call, Stream& stream);

  std::uint64_t sequence_ = 0;  ///< of the thread that makes the calls
  FlightRecord flight_;
  FlightEntry* whole_ = nullptr;
  FlightLog* log_ = nullptr;
  std::string name_;  ///< in the log
  int splits_ = 0;
  std::unique_ptr<CallCheck> check_;
  std::function<bool(CollectiveCall&)> tamper_;
};

}  // namespace ingot
