// One matmul primitive per tile shape (at most four: inner, right edge, lower edge, corner), with
// the strides of the whole matrices, so that no operand is copied by us. Primitives are shared by
// the threads; what one execution needs (memory objects, scratchpad) is kept per slot, of which
// there is one per thread.
#include "ops/linear/bf16_product.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ops/linear/linear_simd.hpp"
#include "ops/workspace_slots.hpp"

namespace ingot::cpu {

namespace {

using Dims = dnnl::memory::dims;

dnnl::memory::data_type data_type_of(DType type) {
  return type == DType::kBf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

/// Whether the processor multiplies bf16 faster than f32. Intel's vector units do vdpbf16ps at a
/// quarter of the rate of fmadd: 85 GFLOP/s against 176 in registers on a Xeon of family 6 model
/// 207, so that without AMX conversion to f32 is twice as fast there. AMD's do both at one rate.
bool processor_multiplies_bf16() {
  // The values of cpu_isa are sets of features.
  const auto have = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto need = static_cast<unsigned>(
      __builtin_cpu_is("intel") ? dnnl::cpu_isa::avx512_core_amx : dnnl::cpu_isa::avx512_core_bf16);
  return (have & need) == need;
}

/// Primitive for tiles of one shape, with each slot's memory objects.
struct TileProduct {
  struct Slot {
    dnnl::stream stream;
    std::unordered_map<int, dnnl::memory> arguments;
  };
  dnnl::matmul primitive;
  std::int64_t scratchpad_bytes = 0;
  std::vector<Slot> slots;
};

class NativeProduct final : public MatrixProduct {
 public:
  NativeProduct(const ProductDescription& product, int threads)
      : product_(product),
        grid_(product.rows, product.columns),
        engine_(dnnl::engine::kind::cpu, 0) {
    std::int64_t scratchpad_bytes = 0;
    for (std::int64_t i = 0; i < grid_.count(); ++i) {
      const TileGrid::Tile tile = grid_.tile(i);
      const auto shape = std::pair(tile.rows, tile.columns);
      if (tiles_.contains(shape)) continue;
      const auto& created = tiles_.emplace(shape, create_tile(tile, threads)).first->second;
      scratchpad_bytes = std::max(scratchpad_bytes, created.scratchpad_bytes);
    }
    slots_ = std::make_unique<WorkspaceSlots>(threads, scratchpad_bytes);
  }

  std::int64_t workspace_bytes() const override { return slots_->workspace_bytes(); }

  void run(ThreadPool& pool, const ProductArguments& arguments) override {
    pool.parallel_for(grid_.count(), 1, [&](std::int64_t begin, std::int64_t /*end*/) {
      const WorkspaceSlots::Lease slot(*slots_);
      run_tile(grid_.tile(begin), slot, arguments);
    });
  }

 private:
  dnnl::memory::desc matrix(std::int64_t rows, std::int64_t columns, bool transposed,
                            std::int64_t stride, DType type) const {
    const Dims strides = transposed ? Dims{1, stride} : Dims{stride, 1};
    return {Dims{rows, columns}, data_type_of(type), strides};
  }
  std::int64_t a_stride() const { return product_.a_transposed ? product_.rows : product_.depth; }
  std::int64_t b_stride() const {
    return product_.b_transposed ? product_.depth : product_.columns;
  }

  TileProduct create_tile(const TileGrid::Tile& tile, int threads) const {
    const auto a =
        matrix(tile.rows, product_.depth, product_.a_transposed, a_stride(), DType::kBf16);
    const auto b =
        matrix(product_.depth, tile.columns, product_.b_transposed, b_stride(), DType::kBf16);
    const auto c = matrix(tile.rows, tile.columns, false, product_.columns, product_.result);
    const dnnl::memory::desc bias(Dims{1, tile.columns}, data_type_of(product_.result),
                                  Dims{tile.columns, 1});
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (product_.accumulate) {
      dnnl::post_ops post;
      post.append_sum(1.0F);
      attributes.set_post_ops(post);
    }
    const auto description =
        product_.bias ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c);
    const dnnl::matmul::primitive_desc chosen(description, attributes, engine_);
    const std::string_view implementation = chosen.impl_info_str();
    if (implementation.substr(0, 3) == "ref") {
      throw dnnl::error(dnnl_unimplemented, "only a reference implementation");
    }
    TileProduct result{
        dnnl::matmul(chosen), static_cast<std::int64_t>(chosen.scratchpad_desc().get_size()), {}};
    for (int slot = 0; slot < threads; ++slot) {
      const auto object = [&](const dnnl::memory::desc& type) {
        return dnnl::memory(type, engine_, nullptr);
      };
      TileProduct::Slot entry{dnnl::stream(engine_), {}};
      entry.arguments.emplace(DNNL_ARG_SRC, object(a));
      entry.arguments.emplace(DNNL_ARG_WEIGHTS, object(b));
      entry.arguments.emplace(DNNL_ARG_DST, object(c));
      entry.arguments.emplace(DNNL_ARG_SCRATCHPAD, object(chosen.scratchpad_desc()));
      if (product_.bias) entry.arguments.emplace(DNNL_ARG_BIAS, object(bias));
      result.slots.push_back(std::move(entry));
    }
    return result;
  }

  static void* at(const void* data, DType type, std::int64_t index) {
    return static_cast<std::byte*>(const_cast<void*>(data)) + index * size_of(type);
  }

  void run_tile(const TileGrid::Tile& tile, const WorkspaceSlots::Lease& slot,
                const ProductArguments& arguments) {
    TileProduct& tile_product = tiles_.at(std::pair(tile.rows, tile.columns));
    auto& [stream, memories] = tile_product.slots[slot.index()];
    const std::int64_t first = tile.row * product_.columns + tile.column;
    void* c = at(product_.gelu ? arguments.pre : arguments.c, product_.result, first);
    const std::int64_t a_first = product_.a_transposed ? tile.row : tile.row * a_stride();
    const std::int64_t b_first = product_.b_transposed ? tile.column * b_stride() : tile.column;
    memories.at(DNNL_ARG_SRC).set_data_handle(at(arguments.a, DType::kBf16, a_first));
    memories.at(DNNL_ARG_WEIGHTS).set_data_handle(at(arguments.b, DType::kBf16, b_first));
    memories.at(DNNL_ARG_DST).set_data_handle(c);
    memories.at(DNNL_ARG_SCRATCHPAD).set_data_handle(slot.memory(arguments.workspace));
    if (product_.bias) {
      memories.at(DNNL_ARG_BIAS).set_data_handle(at(arguments.bias, product_.result, tile.column));
    }
    tile_product.primitive.execute(stream, memories);
    stream.wait();
    if (product_.gelu) {
      gelu_tile(product_.result, c, at(arguments.c, product_.result, first), product_.columns,
                tile.rows, tile.columns);
    }
  }

  ProductDescription product_;
  TileGrid grid_;
  dnnl::engine engine_;
  std::map<std::pair<std::int64_t, std::int64_t>, TileProduct> tiles_;
  std::unique_ptr<WorkspaceSlots> slots_;
};

}  // namespace

std::unique_ptr<MatrixProduct> create_native_bf16_product(const ProductDescription& description,
                                                          int threads) {
  if (!processor_multiplies_bf16()) return nullptr;
  try {
    return std::make_unique<NativeProduct>(description, threads);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace ingot::cpu
