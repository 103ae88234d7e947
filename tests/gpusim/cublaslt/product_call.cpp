// From a ProductCall to the regions that it touches and the products that it computes.
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>

#include "cublaslt/call.hpp"
#include "cudart/internal.hpp"
#include "machine/machine.hpp"

namespace gpusim::blas {

namespace {

bool reads_inputs(const ProductCall& call) {
  return call.k > 0 && (call.alpha.address != 0 || call.alpha.value != 0);
}
bool reads_c(const ProductCall& call) {
  return call.beta.address != 0 || call.beta.value != 0;
}

/// The memory of `rows` x `columns` of one matrix.
Region region_of(const char* what, const Operand& operand, std::uint64_t address, std::int64_t rows,
                 std::int64_t columns, bool written) {
  Region region{.what = what,
                .address = address,
                .written = written,
                .alignment = alignment_of(operand.type)};
  const std::int64_t element = size_of(operand.type);
  const bool by_columns = operand.row_stride == 1;
  region.runs = by_columns ? columns : rows;
  region.stride = (by_columns ? operand.column_stride : operand.row_stride) * element;
  region.bytes = (by_columns ? rows : columns) * element;
  if (!by_columns && operand.column_stride != 1) {
    // Neither direction is dense (vectors with a step): one run from the first to the last element
    // would name too much, so each element is one.
    region.runs = rows * columns;
    region.bytes = element;
    region.stride = (rows == 1 ? operand.column_stride : operand.row_stride) * element;
  }
  return region;
}

std::uint64_t batch_address(const Operand& operand, std::int64_t batch) {
  if (operand.pointers) {
    std::uint64_t address = 0;
    std::memcpy(&address, host_address(operand.address) + batch * 8, 8);
    return address;
  }
  return operand.address +
         static_cast<std::uint64_t>(batch * operand.batch_stride * size_of(operand.type));
}

/// What the matrices of one batch occupy; with pointer arrays only known while the work runs.
void add_matrices(const ProductCall& call, std::int64_t batch, bool indirect,
                  std::vector<Region>& regions) {
  const auto add = [&](const char* what, const Operand& operand, std::int64_t rows,
                       std::int64_t columns, bool written) {
    if (operand.pointers != indirect) return;
    regions.push_back(
        region_of(what, operand, batch_address(operand, batch), rows, columns, written));
  };
  if (reads_inputs(call) || call.gradient == Epilogue::Gradient::kOfA) {
    add("A", call.a, call.m, call.k, false);
  }
  if (reads_inputs(call) || call.gradient == Epilogue::Gradient::kOfB) {
    add("B", call.b, call.k, call.n, false);
  }
  if (reads_c(call)) add("C", call.c, call.m, call.n, false);
  add("D", call.d, call.m, call.n, true);
}

void add_epilogue(const ProductCall& call, std::int64_t batch, std::vector<Region>& regions) {
  if (call.bias != 0) {
    const std::int64_t count = call.gradient == Epilogue::Gradient::kOfB ? call.n : call.m;
    const bool written = call.gradient != Epilogue::Gradient::kNone;
    const std::int64_t element = size_of(call.bias_type);
    regions.push_back({.what = written ? "bias gradient" : "bias",
                       .address = call.bias + static_cast<std::uint64_t>(
                                                  batch * call.bias_batch_stride * element),
                       .bytes = count * element,
                       .written = written,
                       .alignment = alignment_of(call.bias_type)});
  }
  if (call.aux != 0) {
    const bool bits =
        call.activation == Activation::kRelu || call.activation == Activation::kReluGradient;
    const bool written =
        call.activation == Activation::kRelu || call.activation == Activation::kGelu;
    const auto bytes = [&](std::int64_t elements) {
      return bits ? (elements + 7) / 8 : elements * size_of(call.aux_type);
    };
    regions.push_back(
        {.what = "auxiliary matrix",
         .address = call.aux + static_cast<std::uint64_t>(bytes(batch * call.aux_batch_stride)),
         .bytes = bytes(call.m),
         .runs = call.n,
         .stride = bytes(call.aux_stride),
         .written = written,
         .alignment = bits ? 1 : alignment_of(call.aux_type)});
  }
}

std::vector<Region> direct_regions(const ProductCall& call) {
  std::vector<Region> regions;
  for (std::int64_t batch = 0; batch < call.batch; ++batch) {
    add_matrices(call, batch, false, regions);
    add_epilogue(call, batch, regions);
  }
  const auto add_scale = [&](const char* what, const Scale& scale) {
    if (scale.address == 0) return;
    const std::int64_t count = scale.vector ? call.m : 1;
    regions.push_back({.what = what,
                       .address = scale.address,
                       .bytes = count * size_of(scale.type),
                       .alignment = alignment_of(scale.type)});
  };
  add_scale("alpha", call.alpha);
  add_scale("beta", call.beta);
  const auto add_pointers = [&](const char* what, const Operand& operand) {
    if (!operand.pointers) return;
    regions.push_back(
        {.what = what, .address = operand.address, .bytes = call.batch * 8, .alignment = 8});
  };
  add_pointers("array of pointers to A", call.a);
  add_pointers("array of pointers to B", call.b);
  if (reads_c(call)) add_pointers("array of pointers to C", call.c);
  add_pointers("array of pointers to D", call.d);
  if (call.workspace_bytes > 0) {
    regions.push_back({.what = "workspace",
                       .address = call.workspace,
                       .bytes = call.workspace_bytes,
                       .written = true,
                       .alignment = 1});
  }
  return regions;
}

Matrix matrix_of(const Operand& operand, std::int64_t batch) {
  return {host_address(batch_address(operand, batch)), operand.type, operand.row_stride,
          operand.column_stride};
}

void set_scale(const Scale& scale, double& value, const std::byte*& vector) {
  value = scale.value;
  if (scale.address == 0) return;
  const std::byte* memory = host_address(scale.address);
  if (scale.vector) {
    vector = memory;
  } else {
    value = load_element(memory, scale.type, 0);
  }
}

Product product_of(const ProductCall& call, std::int64_t batch) {
  Product product;
  product.m = call.m;
  product.n = call.n;
  product.k = call.k;
  product.arithmetic = call.arithmetic;
  product.splits = call.splits;
  set_scale(call.alpha, product.alpha, product.alpha_vector);
  set_scale(call.beta, product.beta, product.beta_vector);
  if (reads_inputs(call) || call.gradient != Epilogue::Gradient::kNone) {
    product.a = matrix_of(call.a, batch);
    product.b = matrix_of(call.b, batch);
  } else {
    product.alpha = 0;
  }
  if (reads_c(call)) product.c = matrix_of(call.c, batch);
  product.d = matrix_of(call.d, batch);

  Epilogue& epilogue = product.epilogue;
  epilogue.activation = call.activation;
  epilogue.gradient_of = call.gradient;
  epilogue.bias_type = call.bias_type;
  std::vector<Region> regions;
  add_epilogue(call, batch, regions);
  for (const Region& region : regions) {
    std::byte* memory = host_address(region.address);
    if (region.what == "bias") epilogue.bias = memory;
    if (region.what == "bias gradient") epilogue.gradient = memory;
    if (region.what == "auxiliary matrix") epilogue.aux = memory;
  }
  epilogue.aux_type = call.aux_type;
  epilogue.aux_stride = call.aux_stride;
  return product;
}

/// Tiles of D are written while others still read A and B. Only matrices without gaps are looked
/// at: interleaved ones, as of attention heads, share ranges but no elements.
void check_overlap(const std::string& name, const std::vector<Region>& regions) {
  const auto dense = [](const Region& region) {
    return region.runs == 1 || region.stride == region.bytes;
  };
  for (const Region& d : regions) {
    if (d.what != "D" || !dense(d)) continue;
    for (const Region& other : regions) {
      if (other.written || other.what == "C" || other.what == "D" || !dense(other)) continue;
      const auto end = [](const Region& region) {
        return region.address + static_cast<std::uint64_t>(region.bytes * region.runs);
      };
      if (d.address < end(other) && other.address < end(d)) {
        report_problem("overlap", name + ": D lies in the memory of " + other.what);
      }
    }
  }
}

std::string shape_text(const ProductCall& call) {
  std::string text = "m " + std::to_string(call.m) + " n " + std::to_string(call.n) + " k " +
                     std::to_string(call.k);
  if (call.batch > 1) text += " batch " + std::to_string(call.batch);
  return text;
}

}  // namespace

cublasStatus_t enqueue_product(cudaStream_t stream, const ProductCall& call) {
  const std::string detail = shape_text(call);
  const std::string name = call.name + " (" + detail + ")";
  const int device = cudart::stream_device(stream);
  const bool indirect = call.a.pointers || call.b.pointers || call.c.pointers || call.d.pointers;
  std::vector<Region> regions = direct_regions(call);
  check_overlap(name, regions);
  const auto work = [call, name, device, indirect] {
    std::vector<Region> pointed;
    if (indirect) {
      for (std::int64_t batch = 0; batch < call.batch; ++batch) {
        add_matrices(call, batch, true, pointed);
      }
      const Fault fault = check_regions(name, device, pointed);
      if (fault != Fault::kNone) return fault;
    }
    if (call.workspace_bytes > 0) {
      // Nobody may count on what a workspace holds afterwards.
      std::memset(host_address(call.workspace), 0xff,
                  static_cast<std::size_t>(call.workspace_bytes));
    }
    for (std::int64_t batch = 0; batch < call.batch; ++batch) compute(product_of(call, batch));
    mark_written(pointed);
    return Fault::kNone;
  };
  return enqueue(stream, call.name, detail, std::move(regions), work);
}

}  // namespace gpusim::blas
