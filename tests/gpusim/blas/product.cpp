// Cuts a product into tiles of fixed size and runs the kernels over them. A tile is summed over
// the whole depth, in pieces of kTileDepth in ascending order, before its epilogue runs.
#include "blas/product.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

#include "blas/kernels.hpp"

namespace gpusim::blas {

namespace {

#include "blas/elements-inl.hpp"

template <typename T>
T read(const std::byte* data, std::int64_t i) {
  T value;
  std::memcpy(&value, data + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}
template <typename T>
void write(std::byte* data, std::int64_t i, T value) {
  std::memcpy(data + i * static_cast<std::int64_t>(sizeof(T)), &value, sizeof(T));
}

/// Memory of the tiles, kept by each thread: touching fresh pages costs more than a small product.
template <typename T>
struct Tiles {
  T* sums;
  T* partial;
  T* a;
  T* b;
};
template <typename T>
Tiles<T> tiles() {
  struct Release {
    void operator()(void* memory) const { std::free(memory); }
  };
  constexpr std::size_t kBytes = (2 * kTileElements + kPackedA + kPackedB) * sizeof(T);
  thread_local const std::unique_ptr<void, Release> memory(
      std::aligned_alloc(64, (kBytes + 63) / 64 * 64));
  auto* first = static_cast<T*>(memory.get());
  return {first, first + kTileElements, first + 2 * kTileElements,
          first + 2 * kTileElements + kPackedA};
}

template <typename T>
const TypedKernels<T>& typed(const Kernels& set) {
  if constexpr (std::is_same_v<T, float>) {
    return set.f32;
  } else if constexpr (std::is_same_v<T, double>) {
    return set.f64;
  } else {
    return set.s32;
  }
}

template <typename T>
class Computation {
 public:
  Computation(const Product& product, const Kernels& set)
      : product_(product), kernels_(set), tiles_(tiles<T>()) {
    read_vectors();
  }

  void run() {
    const Product& p = product_;
    for (std::int64_t i = 0; i < p.m; i += kTileRows) {
      const std::int64_t rows = std::min(kTileRows, p.m - i);
      row_sums_.assign(static_cast<std::size_t>(rows), 0.0);
      for (std::int64_t j = 0; j < p.n; j += kTileColumns) {
        const std::int64_t columns = std::min(kTileColumns, p.n - j);
        sum_tile(i, rows, j, columns);
        finish_tile(i, rows, j, columns);
      }
      if (p.epilogue.gradient_of == Epilogue::Gradient::kOfResult) {
        for (std::int64_t r = 0; r < rows; ++r) {
          store_element(p.epilogue.gradient, p.epilogue.bias_type, i + r,
                        row_sums_[static_cast<std::size_t>(r)]);
        }
      }
    }
  }

 private:
  void read_vectors() {
    if constexpr (std::is_same_v<T, float>) {
      const auto floats = [this](const std::byte* data, Element type) {
        std::vector<float> values(data == nullptr ? 0 : static_cast<std::size_t>(product_.m));
        for (std::size_t i = 0; i < values.size(); ++i) {
          values[i] = static_cast<float>(load_element(data, type, static_cast<std::int64_t>(i)));
        }
        return values;
      };
      bias_ = floats(product_.epilogue.bias, product_.epilogue.bias_type);
      alphas_ = floats(product_.alpha_vector, Element::kF32);
      betas_ = floats(product_.beta_vector, Element::kF32);
    }
  }

  /// tiles_.sums = rows [i, i + rows) of A times columns [j, j + columns) of B.
  void sum_tile(std::int64_t i, std::int64_t rows, std::int64_t j, std::int64_t columns) {
    const bool unused =
        product_.k == 0 || (product_.alpha == 0 && product_.alpha_vector == nullptr);
    if (unused) {
      std::fill(tiles_.sums, tiles_.sums + kTileElements, T{0});
      return;
    }
    const std::int64_t splits = std::clamp<std::int64_t>(product_.splits, 1, product_.k);
    for (std::int64_t s = 0; s < splits; ++s) {
      const std::int64_t begin = product_.k * s / splits;
      const std::int64_t end = product_.k * (s + 1) / splits;
      T* to = s == 0 ? tiles_.sums : tiles_.partial;
      for (std::int64_t p = begin; p < end; p += kTileDepth) {
        const std::int64_t depth = std::min(kTileDepth, end - p);
        pack(i, rows, j, columns, p, depth);
        typed<T>(kernels_).multiply(tiles_.a, tiles_.b, rows, columns, depth, to, p != begin);
      }
      for (std::int64_t e = 0; s > 0 && e < kTileElements; ++e) {
        if (e % kTileRows < rows && e / kTileRows < columns) tiles_.sums[e] += tiles_.partial[e];
      }
    }
  }

  /// Packs what is not packed already: with a small depth a piece serves many tiles.
  void pack(std::int64_t i, std::int64_t rows, std::int64_t j, std::int64_t columns, std::int64_t p,
            std::int64_t depth) {
    const Matrix& a = product_.a;
    const Matrix& b = product_.b;
    if (packed_a_ != Piece{i, p, depth}) {
      typed<T>(kernels_).pack_a(
          {a.at(i, p), a.type, a.row_stride, a.column_stride, rows, depth, product_.arithmetic},
          tiles_.a);
      packed_a_ = {i, p, depth};
    }
    if (packed_b_ != Piece{j, p, depth}) {
      typed<T>(kernels_).pack_b(
          {b.at(p, j), b.type, b.column_stride, b.row_stride, columns, depth, product_.arithmetic},
          tiles_.b);
      packed_b_ = {j, p, depth};
    }
  }

  void finish_tile(std::int64_t i, std::int64_t rows, std::int64_t j, std::int64_t columns) {
    for (std::int64_t column = 0; column < columns; ++column) {
      T* sums = tiles_.sums + column * kTileRows;
      if constexpr (std::is_same_v<T, float>) {
        finish_floats(i, rows, j + column, sums);
      } else {
        finish_others(i, rows, j + column, sums);
      }
    }
  }

  void finish_floats(std::int64_t i, std::int64_t rows, std::int64_t j, float* sums) {
    const Product& p = product_;
    const Epilogue& e = p.epilogue;
    Finish f{};
    f.count = rows;
    f.alpha = static_cast<float>(p.alpha);
    f.beta = static_cast<float>(p.beta);
    f.alphas = alphas_.empty() ? nullptr : alphas_.data() + i;
    f.betas = betas_.empty() ? nullptr : betas_.data() + i;
    f.c = p.beta != 0 || p.beta_vector != nullptr ? p.c.at(i, j) : nullptr;
    f.c_type = p.c.type;
    f.c_step = p.c.row_stride;
    f.bias = bias_.empty() ? nullptr : bias_.data() + i;
    f.activation = e.activation;
    f.aux_type = e.aux_type;
    if (e.aux != nullptr) {
      const bool bits =
          e.activation == Activation::kRelu || e.activation == Activation::kReluGradient;
      const std::int64_t offset = j * e.aux_stride + i;
      f.aux = bits ? e.aux : e.aux + offset * size_of(e.aux_type);
      f.aux_bit = bits ? offset : 0;
    }
    f.row_sums = e.gradient_of == Epilogue::Gradient::kOfResult ? row_sums_.data() : nullptr;
    f.d = p.d.at(i, j);
    f.d_type = p.d.type;
    f.d_step = p.d.row_stride;
    kernels_.finish(f, sums);
  }

  void finish_others(std::int64_t i, std::int64_t rows, std::int64_t j, const T* sums) {
    const Product& p = product_;
    const auto factor = [](const std::byte* vector, std::int64_t row, double otherwise) {
      if (vector == nullptr) return otherwise;
      if constexpr (std::is_same_v<T, double>) return read<double>(vector, row);
      return static_cast<double>(read<std::int32_t>(vector, row));
    };
    for (std::int64_t r = 0; r < rows; ++r) {
      double value = 0;
      if constexpr (std::is_same_v<T, double>) {
        value = sums[r];
      } else {
        value = static_cast<std::int32_t>(sums[r]);
      }
      value *= factor(p.alpha_vector, i + r, p.alpha);
      const double beta = factor(p.beta_vector, i + r, p.beta);
      if (beta != 0 || p.beta_vector != nullptr) {
        value += beta * load_element(p.c.at(i + r, j), p.c.type, 0);
      }
      store_element(p.d.at(i + r, j), p.d.type, 0, value);
    }
  }

  struct Piece {
    std::int64_t index, depth_begin, depth;
    bool operator==(const Piece&) const = default;
  };

  const Product& product_;
  const Kernels& kernels_;
  Tiles<T> tiles_;
  Piece packed_a_{-1, -1, -1};
  Piece packed_b_{-1, -1, -1};
  std::vector<float> bias_, alphas_, betas_;
  std::vector<double> row_sums_;
};

/// The bias gradients that are sums over the depth of an input.
void sum_input(const Product& product) {
  const Epilogue& e = product.epilogue;
  const bool of_a = e.gradient_of == Epilogue::Gradient::kOfA;
  const Matrix& from = of_a ? product.a : product.b;
  const std::int64_t outer_stride = of_a ? from.row_stride : from.column_stride;
  const std::int64_t inner_stride = of_a ? from.column_stride : from.row_stride;
  std::vector<double> sums(static_cast<std::size_t>(of_a ? product.m : product.n), 0.0);
  const auto count = static_cast<std::int64_t>(sums.size());
  const auto add = [&](std::int64_t i, std::int64_t p) {
    sums[static_cast<std::size_t>(i)] +=
        load_element(from.data, from.type, i * outer_stride + p * inner_stride);
  };
  // Both loops add in ascending p; the order follows memory.
  if (inner_stride == 1) {
    for (std::int64_t i = 0; i < count; ++i) {
      for (std::int64_t p = 0; p < product.k; ++p) add(i, p);
    }
  } else {
    for (std::int64_t p = 0; p < product.k; ++p) {
      for (std::int64_t i = 0; i < count; ++i) add(i, p);
    }
  }
  for (std::int64_t i = 0; i < count; ++i) {
    store_element(e.gradient, e.bias_type, i, sums[static_cast<std::size_t>(i)]);
  }
}

template <typename T>
T saturated(double value) {
  if (std::isnan(value)) return 0;
  const double rounded = std::nearbyint(value);
  const auto least = static_cast<double>(std::numeric_limits<T>::min());
  const auto most = static_cast<double>(std::numeric_limits<T>::max());
  return static_cast<T>(std::clamp(rounded, least, most));
}

}  // namespace

double load_element(const std::byte* data, Element type, std::int64_t i) {
  switch (type) {
    case Element::kF32:
      return static_cast<double>(read<float>(data, i));
    case Element::kF64:
      return read<double>(data, i);
    case Element::kF16:
      return static_cast<double>(f16_to_float(read<std::uint16_t>(data, i)));
    case Element::kBf16:
      return static_cast<double>(bf16_to_float(read<std::uint16_t>(data, i)));
    case Element::kS8:
      return read<std::int8_t>(data, i);
    case Element::kS32:
      return read<std::int32_t>(data, i);
  }
  return 0;
}

void store_element(std::byte* data, Element type, std::int64_t i, double value) {
  switch (type) {
    case Element::kF32:
      return write(data, i, static_cast<float>(value));
    case Element::kF64:
      return write(data, i, value);
    case Element::kF16:
      return write(data, i, float_to_f16(static_cast<float>(value)));
    case Element::kBf16:
      return write(data, i, float_to_bf16(static_cast<float>(value)));
    case Element::kS8:
      return write(data, i, saturated<std::int8_t>(value));
    case Element::kS32:
      return write(data, i, saturated<std::int32_t>(value));
  }
}

void compute(const Product& product, const Kernels* set) {
  using Gradient = Epilogue::Gradient;
  if (product.epilogue.gradient_of == Gradient::kOfA ||
      product.epilogue.gradient_of == Gradient::kOfB) {
    sum_input(product);
  }
  const Kernels& chosen = set != nullptr ? *set : kernels();
  switch (product.arithmetic) {
    case Arithmetic::kF64:
      return Computation<double>(product, chosen).run();
    case Arithmetic::kS32:
      return Computation<std::uint32_t>(product, chosen).run();
    default:
      return Computation<float>(product, chosen).run();
  }
}

const Kernels* kernels_named(const char* name) {
  const std::string_view wanted = name;
  if (wanted == "baseline") return &baseline::kKernels;
#if defined(__x86_64__)
  if (wanted == "avx2" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return &avx2::kKernels;
  }
  if (wanted == "avx512" && __builtin_cpu_supports("avx512f") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return &avx512::kKernels;
  }
#endif
  return nullptr;
}

const Kernels& kernels() {
  static const Kernels& chosen = []() -> const Kernels& {
    const char* wanted = std::getenv("GPUSIM_VECTOR");
    if (wanted != nullptr) {
      if (const Kernels* set = kernels_named(wanted)) return *set;
    }
    for (const char* name : {"avx512", "avx2"}) {
      if (const Kernels* set = kernels_named(name)) return *set;
    }
    return baseline::kKernels;
  }();
  return chosen;
}

}  // namespace gpusim::blas
