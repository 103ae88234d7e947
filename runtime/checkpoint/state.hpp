// What a checkpoint holds: the numbers that make a run go on where it stopped, and views of the
// flat f32 state that the run keeps in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "runtime/execute/host_transfer.hpp"
#include "runtime/model/model.hpp"
#include "runtime/program/parameters.hpp"

namespace ingot {

/// Everything but tensors. Texts are UTF-8; the empty text means that there is none.
struct TrainingState {
  std::int64_t step = 0;       ///< optimizer steps done
  std::int64_t adam_step = 0;  ///< t of Adam's bias correction
  std::int64_t samples = 0;    ///< consumed over all ranks: where the sampler goes on
  std::int64_t tokens = 0;
  std::uint64_t seed = 0;
  std::int64_t sampler_version = 0;
  std::string data_checksum;
  std::string fingerprint;  ///< of the numerics: instruction set, libraries, micro batch
  std::string precision;    ///< f32 | bf16
  std::string optimizer;    ///< adamw | sgd | lion: what the moments mean
  double loss = std::numeric_limits<double>::quiet_NaN();  ///< of the last step; NaN: unknown
  ModelData model_data;
  std::string config;     ///< the resolved configuration, YAML
  std::string tokenizer;  ///< Tokenizer::serialise(), so that sampling needs no data set
  std::string columns;    ///< mlp: JSON about the columns of the table
};

/// A run of elements of the flat store that a rank holds, in elements.
struct HeldRange {
  std::int64_t flat = 0;   ///< first element in the flat store
  std::int64_t local = 0;  ///< first element in the rank's buffer
  std::int64_t count = 0;
  friend bool operator==(const HeldRange&, const HeldRange&) = default;
};

/// One flat f32 buffer: the whole store or the ranges of it that this rank holds. Names are those
/// of `store` in runtime/program/update.hpp: "weights" (the f32 ones), "moment 1", "average".
struct StateKind {
  std::string name;
  std::span<float> values = {};      ///< device addresses where `transfer` is set
  HostTransfer* transfer = nullptr;  ///< set: the host reaches the values only through this
  /// In the order of the flat store, without overlap. Empty: the whole store, flat == local; a
  /// rank that holds nothing of a kind gives one range of 0 elements. Ranges may include padding.
  std::vector<HeldRange> held = {};
  /// This rank's number among the ranks that hold the same ranges, and how many these are: each
  /// saves its part of them. Of the whole store all ranks of the job are replicas, whatever these
  /// say.
  int replica = 0;
  int replicas = 1;

  /// `first` counts in the buffer, not in the flat store.
  void read(std::int64_t first, std::span<float> to) const;
  /// `from` are the bytes of floats and need not be aligned.
  void write(std::int64_t first, std::span<const std::byte> from) const;
};

/// The state that one rank holds. `layout` outlives the view.
struct StateView {
  const StoreLayout& layout;
  std::vector<StateKind> kinds;
};

/// The ranges that are held, the whole store spelled out. Internal error where they are out of
/// order, overlap or leave the store or, unless it is empty, the buffer.
std::vector<HeldRange> held_ranges(const StateKind& kind, const StoreLayout& layout);

/// What rank `shard` of `shards` holds where every bucket is cut into equal shards and the buffer
/// has its shards of all buckets end to end.
std::vector<HeldRange> ranges_of_shard(std::span<const Bucket> buckets, int shard, int shards);

/// Something in which a saved state and the job that resumes it differ.
struct StateDifference {
  std::string what;  ///< "optimizer.kind", "the data's checksum"
  std::string saved;
  std::string now;
  /// Whether going on would silently compute something else than the run began with (other data
  /// order, moments of another optimizer), instead of merely different last bits.
  bool breaks = false;
};
std::vector<StateDifference> differences(const TrainingState& saved, const TrainingState& now);

}  // namespace ingot
