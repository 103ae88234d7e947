// CPU kernels of gelu, relu, swiglu and their backward ops. gelu(x) = x/2 (1 + tanh u) is computed
// as x sigmoid(2u), the same function, which is exact to rounding for small and for negative x.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/activation/activation_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <array>

#include "ops/cpu_kernel.hpp"
#include "ops/gelu_backward.hpp"
#include "ops/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

// 2u = x (kLinear + kCubic x^2), with kLinear = 2 sqrt(2 / pi) and kCubic = 0.044715 kLinear.
constexpr float kLinear = 1.5957691216057308F;
constexpr float kCubic = 0.0713548162726009F;

struct Gelu {
  template <class D>
  hn::Vec<D> operator()(D d, hn::Vec<D> x) const {
    const auto slope = hn::MulAdd(hn::Set(d, kCubic), hn::Mul(x, x), hn::Set(d, kLinear));
    return hn::Mul(x, sigmoid(d, hn::Mul(x, slope)));
  }
};

struct GeluBackward {
  template <class D>
  hn::Vec<D> operator()(D d, hn::Vec<D> dy, hn::Vec<D> x) const {
    const auto square = hn::Mul(x, x);
    const auto slope = hn::MulAdd(hn::Set(d, kCubic), square, hn::Set(d, kLinear));
    const auto s = sigmoid(d, hn::Mul(x, slope));
    // d(2u)/dx
    const auto inner = hn::MulAdd(hn::Set(d, 3 * kCubic), square, hn::Set(d, kLinear));
    const auto s_slope = hn::Mul(s, hn::Sub(hn::Set(d, 1.0F), s));
    return hn::Mul(dy, hn::MulAdd(hn::Mul(x, inner), s_slope, s));
  }
};

struct Relu {
  template <class D>
  hn::Vec<D> operator()(D d, hn::Vec<D> x) const {
    return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);  // keeps NaN
  }
};

struct ReluBackward {
  template <class D>
  hn::Vec<D> operator()(D d, hn::Vec<D> dy, hn::Vec<D> y) const {
    return hn::IfThenElseZero(hn::Gt(y, hn::Zero(d)), dy);
  }
};

template <typename T, class Function>
void map_as(const KernelArguments& arguments, std::int64_t begin, std::int64_t end,
            Function function) {
  const FloatTag d;
  const T* x = arguments.inputs[0].as<T>() + begin;
  T* y = arguments.outputs[0].as<T>() + begin;
  for_each_vector(d, end - begin, [&](std::int64_t i, auto extent) HWY_ATTR {
    store(d, function(d, load(d, x + i, extent)), y + i, extent);
  });
}

template <typename T, class Function>
void map_two_as(const KernelArguments& arguments, std::int64_t begin, std::int64_t end,
                Function function) {
  const FloatTag d;
  const T* a = arguments.inputs[0].as<T>() + begin;
  const T* b = arguments.inputs[1].as<T>() + begin;
  T* y = arguments.outputs[0].as<T>() + begin;
  for_each_vector(d, end - begin, [&](std::int64_t i, auto extent) HWY_ATTR {
    store(d, function(d, load(d, a + i, extent), load(d, b + i, extent)), y + i, extent);
  });
}

template <class Function>
void map(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  if (arguments.outputs[0].type.dtype == DType::kF32) {
    map_as<float>(arguments, begin, end, Function{});
  } else {
    map_as<Bf16>(arguments, begin, end, Function{});
  }
}

template <class Function>
void map_two(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  if (arguments.outputs[0].type.dtype == DType::kF32) {
    map_two_as<float>(arguments, begin, end, Function{});
  } else {
    map_two_as<Bf16>(arguments, begin, end, Function{});
  }
}

void gelu_range(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  map<Gelu>(arguments, begin, end);
}
void gelu_backward_range(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  map_two<GeluBackward>(arguments, begin, end);
}
void relu_range(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  map<Relu>(arguments, begin, end);
}
void relu_backward_range(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  map_two<ReluBackward>(arguments, begin, end);
}

template <typename T>
void swiglu_as(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  const std::int64_t columns = arguments.outputs[0].type.shape[-1];
  for (std::int64_t row = begin; row < end; ++row) {
    const T* gate = arguments.inputs[0].as<T>() + row * 2 * columns;
    const T* up = gate + columns;
    T* y = arguments.outputs[0].as<T>() + row * columns;
    for_each_vector(d, columns, [&](std::int64_t i, auto extent) HWY_ATTR {
      const auto g = load(d, gate + i, extent);
      const auto silu = hn::Mul(g, sigmoid(d, g));
      store(d, hn::Mul(silu, load(d, up + i, extent)), y + i, extent);
    });
  }
}

template <typename T>
void swiglu_backward_as(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  const std::int64_t columns = arguments.inputs[0].type.shape[-1];
  for (std::int64_t row = begin; row < end; ++row) {
    const T* dy = arguments.inputs[0].as<T>() + row * columns;
    const T* gate = arguments.inputs[1].as<T>() + row * 2 * columns;
    const T* up = gate + columns;
    T* dgate = arguments.outputs[0].as<T>() + row * 2 * columns;
    T* dup = dgate + columns;
    for_each_vector(d, columns, [&](std::int64_t i, auto extent) HWY_ATTR {
      const auto gradient = load(d, dy + i, extent);
      const auto g = load(d, gate + i, extent);
      const auto u = load(d, up + i, extent);
      const auto s = sigmoid(d, g);
      const auto silu = hn::Mul(g, s);
      // d silu / dg = s (1 + g (1 - s)) = s + silu (1 - s)
      const auto slope = hn::MulAdd(silu, hn::Sub(hn::Set(d, 1.0F), s), s);
      store(d, hn::Mul(gradient, hn::Mul(u, slope)), dgate + i, extent);
      store(d, hn::Mul(gradient, silu), dup + i, extent);
    });
  }
}

void swiglu_rows(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  if (arguments.outputs[0].type.dtype == DType::kF32) {
    swiglu_as<float>(arguments, begin, end);
  } else {
    swiglu_as<Bf16>(arguments, begin, end);
  }
}
void swiglu_backward_rows(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  if (arguments.outputs[0].type.dtype == DType::kF32) {
    swiglu_backward_as<float>(arguments, begin, end);
  } else {
    swiglu_backward_as<Bf16>(arguments, begin, end);
  }
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot::cpu {

HWY_EXPORT(gelu_range);
HWY_EXPORT(gelu_backward_range);
HWY_EXPORT(relu_range);
HWY_EXPORT(relu_backward_range);
HWY_EXPORT(swiglu_rows);
HWY_EXPORT(swiglu_backward_rows);

namespace {

constexpr std::int64_t kPiece = 8192;  // elements

using Range = void (*)(const KernelArguments&, std::int64_t, std::int64_t);

/// A kernel over elements.
KernelFactory over_elements(Range range) {
  return [range](const PrepareContext& /*context*/) {
    return make_cpu_kernel([range](ThreadPool& pool, const KernelArguments& arguments) {
      pool.parallel_for(
          arguments.outputs[0].count(), kPiece,
          [&](std::int64_t begin, std::int64_t end) { range(arguments, begin, end); });
    });
  };
}

/// A kernel over rows of the last dimension.
KernelFactory over_rows(Range range) {
  return [range](const PrepareContext& context) {
    const Shape& shape = context.types.outputs[0].shape;
    const std::int64_t rows = shape.leading_count();
    const std::int64_t grain =
        std::max<std::int64_t>(1, kPiece / std::max<std::int64_t>(1, shape[-1]));
    return make_cpu_kernel([=](ThreadPool& pool, const KernelArguments& arguments) {
      pool.parallel_for(
          rows, grain, [&](std::int64_t begin, std::int64_t end) { range(arguments, begin, end); });
    });
  };
}

}  // namespace

void gelu_backward(ThreadPool& pool, const TensorView& dy, const TensorView& x,
                   const TensorView& dx) {
  const std::array inputs{dy, x};
  const KernelArguments arguments{inputs, {&dx, 1}, {}};
  pool.parallel_for(dx.count(), kPiece, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(gelu_backward_range)(arguments, begin, end);
  });
}

void add_activation_kernels(Registry& registry) {
  registry.add_kernel(
      "gelu", DeviceKind::kCpu,
      over_elements([](const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
        HWY_DYNAMIC_DISPATCH(gelu_range)(arguments, begin, end);
      }));
  registry.add_kernel(
      "gelu_backward", DeviceKind::kCpu,
      over_elements([](const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
        HWY_DYNAMIC_DISPATCH(gelu_backward_range)(arguments, begin, end);
      }));
  registry.add_kernel(
      "relu", DeviceKind::kCpu,
      over_elements([](const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
        HWY_DYNAMIC_DISPATCH(relu_range)(arguments, begin, end);
      }));
  registry.add_kernel(
      "relu_backward", DeviceKind::kCpu,
      over_elements([](const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
        HWY_DYNAMIC_DISPATCH(relu_backward_range)(arguments, begin, end);
      }));
  registry.add_kernel(
      "swiglu", DeviceKind::kCpu,
      over_rows([](const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
        HWY_DYNAMIC_DISPATCH(swiglu_rows)(arguments, begin, end);
      }));
  registry.add_kernel(
      "swiglu_backward", DeviceKind::kCpu,
      over_rows([](const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
        HWY_DYNAMIC_DISPATCH(swiglu_backward_rows)(arguments, begin, end);
      }));
}

}  // namespace ingot::cpu
#endif  // HWY_ONCE
