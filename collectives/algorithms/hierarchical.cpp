#include "collectives/algorithms/hierarchical.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <utility>
#include <vector>

#include "ops/base/error.hpp"
#include "ops/device/cpu/cpu_device.hpp"

namespace ingot {
namespace {

using Kind = CollectiveKind;

/// all_reduces up to this size take two steps, of which each carries everything, and not three.
constexpr std::int64_t kSmallBytes = 16 << 10;
/// What all_reduce and broadcast cut into pieces, of which the node and the network each have one.
constexpr std::int64_t kPieceBytes = 4 << 20;

std::byte* offset(void* data, std::int64_t bytes) {
  return static_cast<std::byte*>(data) + bytes;
}
const std::byte* offset(const void* data, std::int64_t bytes) {
  return static_cast<const std::byte*>(data) + bytes;
}

bool start_flight(void* flight) {
  static_cast<FlightEntry*>(flight)->start();
  return true;
}
bool finish_flight(void* flight) {
  static_cast<FlightEntry*>(flight)->finish();
  return true;
}

/// Elements [begin, begin + count) of a call's data.
struct Piece {
  std::int64_t begin = 0;
  std::int64_t count = 0;
};

class HierarchicalCommunicator final : public Communicator {
 public:
  explicit HierarchicalCommunicator(HierarchicalParts parts)
      : nodes_(std::move(parts.nodes)),
        all_(std::move(parts.all)),
        rail_(std::move(parts.rail)),
        inside_(std::move(parts.inside)) {}
  /// After an error of the caller's stream the network's may still be at work.
  ~HierarchicalCommunicator() override {
    for (auto& [stream, lane] : lanes_) lane.network.reset();
  }

  int rank() const override { return all_->rank(); }
  int size() const override { return all_->size(); }
  std::string transport() const override { return "hierarchical"; }
  void reserve(Stream& stream, std::int64_t bytes) override;
  void share(const Buffer& buffer) override { inside_->share(buffer); }
  void unshare(const Buffer& buffer) override { inside_->unshare(buffer); }
  [[noreturn]] void abort(int exit_code) override {
    all_->abort(exit_code);
    std::abort();  // for the compiler, which does not take it that this is never reached
  }

 private:
  /// What the calls of one of the caller's streams need beside it.
  struct Lane {
    std::unique_ptr<Stream> network;  ///< carries a piece while the caller's stream does the next
    std::array<std::unique_ptr<Event>, 2> ready;    ///< a piece for the network
    std::array<std::unique_ptr<Event>, 2> arrived;  ///< a piece from it
    Buffer scratch;
  };

  std::unique_ptr<Communicator> create_split(int color, int key) override;
  void enqueue(const CollectiveCall& call, Stream& stream) override;
  void enqueue_parts(const CollectiveCall& call, Stream& stream);
  void all_reduce_by_rails(const CollectiveCall& call, Stream& stream);
  void all_reduce_by_leaders(const CollectiveCall& call, Stream& stream);
  void all_reduce_twice(const CollectiveCall& call, Piece piece, Stream& stream);
  void reduce_scatter_by_rails(const CollectiveCall& call, Stream& stream);
  void all_gather_by_rails(const CollectiveCall& call, Stream& stream);
  void broadcast_by_rails(const CollectiveCall& call, Stream& stream);
  void broadcast_by_leaders(const CollectiveCall& call, Stream& stream);
  void run_all(const CollectiveCall& call, Stream& stream);

  template <typename Before, typename Between, typename After>
  void in_pieces(const CollectiveCall& call, std::int64_t unit, Stream& stream, bool on_network,
                 const Before& before, const Between& between, const After& after);
  static void wait_for_network(Lane& lane, std::size_t side, Stream& stream);
  Lane& lane(Stream& stream);
  std::byte* scratch(Stream& stream, std::int64_t bytes);

  bool leads() const { return inside_->rank() == 0; }

  Nodes nodes_;
  std::map<Stream*, Lane> lanes_;  ///< outlives what has its memory mapped
  std::unique_ptr<Communicator> all_;
  std::unique_ptr<Communicator> rail_;
  std::unique_ptr<Communicator> inside_;
};

void HierarchicalCommunicator::enqueue(const CollectiveCall& call, Stream& stream) {
  stream.try_call(
      start_flight, [](void* flight) { start_flight(flight); }, call.flight);
  for (Communicator* part : {all_.get(), rail_.get(), inside_.get()}) {
    part->make_parts_of(call.flight);
  }
  enqueue_parts(call, stream);
  stream.try_call(
      finish_flight, [](void* flight) { finish_flight(flight); }, call.flight);
}

void HierarchicalCommunicator::enqueue_parts(const CollectiveCall& call, Stream& stream) {
  const bool even = nodes_.even();
  switch (call.kind) {
    case Kind::kAllReduce:
      return even ? all_reduce_by_rails(call, stream) : all_reduce_by_leaders(call, stream);
    case Kind::kReduceScatter:
      return even ? reduce_scatter_by_rails(call, stream) : run_all(call, stream);
    case Kind::kAllGather:
      return even ? all_gather_by_rails(call, stream) : run_all(call, stream);
    case Kind::kAllToAll:
      return run_all(call, stream);
    case Kind::kBroadcast:
      return even ? broadcast_by_rails(call, stream) : broadcast_by_leaders(call, stream);
    case Kind::kBarrier:
      // Whoever comes out of its rail's barrier knows of all ranks of the rail's nodes.
      inside_->barrier(stream, call.label);
      if (even || leads()) rail_->barrier(stream, call.label);
      if (!even) inside_->barrier(stream, call.label);
      return;
  }
}

/// Does a call in pieces of a multiple of `unit` elements: `before` and `after` on the caller's
/// stream, `between` on that of the network where this rank is `on_network`. Piece p + 1 is
/// prepared while the network has piece p.
template <typename Before, typename Between, typename After>
void HierarchicalCommunicator::in_pieces(const CollectiveCall& call, std::int64_t unit,
                                         Stream& stream, bool on_network, const Before& before,
                                         const Between& between, const After& after) {
  const std::int64_t longest = std::max(kPieceBytes / size_of(call.type) / unit, std::int64_t{1});
  const std::int64_t length = longest * unit;
  const auto piece = [&](std::int64_t begin) {
    return Piece{begin, std::min(length, call.count - begin)};
  };
  if (call.count <= length) {
    before(piece(0));
    if (on_network) between(piece(0), stream);
    return after(piece(0));
  }
  Lane& with = lane(stream);
  const auto finish = [&](std::int64_t index) {
    if (on_network) wait_for_network(with, static_cast<std::size_t>(index % 2), stream);
    after(piece(index * length));
  };
  const std::int64_t pieces = (call.count + length - 1) / length;
  for (std::int64_t index = 0; index < pieces; ++index) {
    const auto side = static_cast<std::size_t>(index % 2);
    before(piece(index * length));
    if (on_network) {
      stream.record(*with.ready[side]);
      with.network->wait(*with.ready[side]);
      between(piece(index * length), *with.network);
      with.network->record(*with.arrived[side]);
    }
    if (index > 0) finish(index - 1);
  }
  finish(pieces - 1);
}

/// An error of the network's stream becomes one of the caller's.
void HierarchicalCommunicator::wait_for_network(Lane& lane, std::size_t side, Stream& stream) {
  stream.wait(*lane.arrived[side]);
  stream.call([](void* network) { static_cast<Stream*>(network)->throw_error(); },
              lane.network.get());
}

/// Each rail carries all of it, with the same bits on each, since all order their nodes alike.
void HierarchicalCommunicator::all_reduce_twice(const CollectiveCall& call, Piece piece,
                                                Stream& stream) {
  std::byte* data = offset(call.to, piece.begin * size_of(call.type));
  inside_->all_reduce(data, piece.count, call.type, call.operation, stream, call.label);
  rail_->all_reduce(data, piece.count, call.type, call.operation, stream, call.label);
}

void HierarchicalCommunicator::all_reduce_by_rails(const CollectiveCall& call, Stream& stream) {
  if (call.bytes() <= kSmallBytes) return all_reduce_twice(call, {0, call.count}, stream);
  const std::int64_t ranks = inside_->size();
  const std::int64_t element = size_of(call.type);
  const auto own = [&](Piece piece) {
    return offset(call.to, (piece.begin + piece.count / ranks * inside_->rank()) * element);
  };
  CollectiveCall whole = call;  // what can be cut equally among the ranks of a node
  whole.count = call.count / ranks * ranks;
  in_pieces(
      whole, ranks, stream, true,
      [&](Piece piece) {
        inside_->reduce_scatter(own(piece), offset(call.to, piece.begin * element),
                                piece.count / ranks, call.type, call.operation, stream, call.label);
      },
      [&](Piece piece, Stream& network) {
        rail_->all_reduce(own(piece), piece.count / ranks, call.type, call.operation, network,
                          call.label);
      },
      [&](Piece piece) {
        inside_->all_gather(offset(call.to, piece.begin * element), own(piece), piece.count / ranks,
                            call.type, stream, call.label);
      });
  const Piece rest{whole.count, call.count - whole.count};
  if (rest.count > 0) all_reduce_twice(call, rest, stream);
}

void HierarchicalCommunicator::all_reduce_by_leaders(const CollectiveCall& call, Stream& stream) {
  const auto data = [&](Piece piece) { return offset(call.to, piece.begin * size_of(call.type)); };
  in_pieces(
      call, 1, stream, leads(),
      [&](Piece piece) {
        inside_->all_reduce(data(piece), piece.count, call.type, call.operation, stream,
                            call.label);
      },
      [&](Piece piece, Stream& network) {
        rail_->all_reduce(data(piece), piece.count, call.type, call.operation, network, call.label);
      },
      [&](Piece piece) {
        inside_->broadcast(data(piece), piece.count, call.type, 0, stream, call.label);
      });
}

void HierarchicalCommunicator::reduce_scatter_by_rails(const CollectiveCall& call, Stream& stream) {
  const std::int64_t block = call.bytes();
  std::byte* mine = scratch(stream, block * nodes_.count());  // this rank's place in each node
  for (int node = 0; node < nodes_.count(); ++node) {
    inside_->reduce_scatter(mine + node * block, offset(call.from, node * inside_->size() * block),
                            call.count, call.type, call.operation, stream, call.label);
  }
  rail_->reduce_scatter(call.to, mine, call.count, call.type, call.operation, stream, call.label);
}

void HierarchicalCommunicator::all_gather_by_rails(const CollectiveCall& call, Stream& stream) {
  const std::int64_t block = call.bytes();
  std::byte* mine = scratch(stream, block * nodes_.count());  // this rank's place in each node
  Lane& with = lane(stream);
  const auto gather = [&](int node, const void* from) {
    inside_->all_gather(offset(call.to, node * inside_->size() * block), from, call.count,
                        call.type, stream, call.label);
  };
  stream.record(*with.ready[0]);
  with.network->wait(*with.ready[0]);
  rail_->all_gather(mine, call.from, call.count, call.type, *with.network, call.label);
  with.network->record(*with.arrived[0]);
  gather(nodes_.index, call.from);
  wait_for_network(with, 0, stream);
  for (int node = 0; node < nodes_.count(); ++node) {
    if (node != nodes_.index) gather(node, mine + node * block);
  }
}

void HierarchicalCommunicator::broadcast_by_rails(const CollectiveCall& call, Stream& stream) {
  const int node = nodes_.node_of(call.root);
  const int place = call.root - nodes_.first_rank(node);
  const auto data = [&](Piece piece) { return offset(call.to, piece.begin * size_of(call.type)); };
  in_pieces(
      call, 1, stream, inside_->rank() == place, [](Piece) {},
      [&](Piece piece, Stream& network) {
        rail_->broadcast(data(piece), piece.count, call.type, node, network, call.label);
      },
      [&](Piece piece) {
        inside_->broadcast(data(piece), piece.count, call.type, place, stream, call.label);
      });
}

void HierarchicalCommunicator::broadcast_by_leaders(const CollectiveCall& call, Stream& stream) {
  const int node = nodes_.node_of(call.root);
  const int place = call.root - nodes_.first_rank(node);
  const auto data = [&](Piece piece) { return offset(call.to, piece.begin * size_of(call.type)); };
  const auto in_node = [&](Piece piece, int root) {
    inside_->broadcast(data(piece), piece.count, call.type, root, stream, call.label);
  };
  const bool of_root = node == nodes_.index;
  in_pieces(
      call, 1, stream, leads(),
      [&](Piece piece) {
        if (of_root) in_node(piece, place);
      },
      [&](Piece piece, Stream& network) {
        rail_->broadcast(data(piece), piece.count, call.type, node, network, call.label);
      },
      [&](Piece piece) {
        if (!of_root) in_node(piece, 0);
      });
}

/// Leaves a call to the transport that joins all ranks.
void HierarchicalCommunicator::run_all(const CollectiveCall& call, Stream& stream) {
  switch (call.kind) {
    case Kind::kReduceScatter:
      return all_->reduce_scatter(call.to, call.from, call.count, call.type, call.operation, stream,
                                  call.label);
    case Kind::kAllGather:
      return all_->all_gather(call.to, call.from, call.count, call.type, stream, call.label);
    case Kind::kAllToAll:
      return all_->all_to_all(call.to, call.from, call.count, call.type, stream, call.label);
    case Kind::kAllReduce:
    case Kind::kBroadcast:
    case Kind::kBarrier:
      break;
  }
}

HierarchicalCommunicator::Lane& HierarchicalCommunicator::lane(Stream& stream) {
  Lane& lane = lanes_[&stream];
  if (lane.network) return lane;
  ensure(!stream.recording(), "room for a recorded collective that was reserved before");
  Device& device = stream.device();
  lane.network = device.create_stream("network");
  for (auto* events : {&lane.ready, &lane.arrived}) {
    for (std::unique_ptr<Event>& event : *events) event = device.create_event();
  }
  return lane;
}

/// Memory between two steps of a call, which the stream's order keeps apart from other calls'.
std::byte* HierarchicalCommunicator::scratch(Stream& stream, std::int64_t bytes) {
  Buffer& memory = lane(stream).scratch;
  if (memory.data() == nullptr || memory.bytes() < bytes) {
    ensure(!stream.recording(), "room for a recorded collective that was reserved before");
    if (memory.data() != nullptr) {
      stream.synchronize();  // earlier calls may still use it
      inside_->unshare(memory);
    }
    memory = stream.device().allocate(std::max<std::int64_t>(bytes, 1), "collectives");
    inside_->share(memory);
  }
  return static_cast<std::byte*>(memory.data());
}

void HierarchicalCommunicator::reserve(Stream& stream, std::int64_t bytes) {
  // reduce_scatter and all_gather keep one block of each node.
  if (nodes_.even()) scratch(stream, bytes / nodes_.most());
  Stream& network = *lane(stream).network;
  // An all_reduce in place is a reduce_scatter inside, which counts its result as well.
  inside_->reserve(stream, bytes + bytes / nodes_.here());
  rail_->reserve(stream, bytes);
  rail_->reserve(network, bytes);
  all_->reserve(stream, bytes);
}

/// A number of each rank. Blocking.
std::vector<int> gather(Communicator& communicator, std::int32_t mine) {
  cpu::CpuDevice device(1, communicator.size());
  const std::unique_ptr<Stream> stream = device.create_stream("split");
  std::vector<std::int32_t> all(static_cast<std::size_t>(communicator.size()));
  communicator.all_gather(all.data(), &mine, 1, DType::kI32, *stream, {"nodes of a part"});
  stream->synchronize();
  return {all.begin(), all.end()};
}

/// Parts of one node, or of one rank each, are simpler communicators; so are those whose order
/// mixes nodes.
std::unique_ptr<Communicator> HierarchicalCommunicator::create_split(int color, int key) {
  HierarchicalParts parts;
  parts.all = all_->split(color, key);
  parts.inside = inside_->split(color, parts.all->rank());
  parts.rail = parts.all->split(parts.inside->rank(), 0);
  const std::vector<int> node_of_rank = gather(*parts.all, nodes_.index);
  if (!contiguous(node_of_rank)) return std::move(parts.all);
  parts.nodes = nodes_of(node_of_rank, parts.all->rank());
  return create_hierarchical_communicator(std::move(parts));
}

}  // namespace

std::unique_ptr<Communicator> create_hierarchical_communicator(HierarchicalParts parts) {
  if (parts.nodes.count() == 1) return std::move(parts.inside);
  if (parts.nodes.most() == 1) return std::move(parts.all);
  return std::make_unique<HierarchicalCommunicator>(std::move(parts));
}

}  // namespace ingot
