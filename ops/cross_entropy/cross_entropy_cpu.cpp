// CPU kernels of the losses. A row of logits is read once from memory: blocks of it, small enough
// for the first cache, give maximum and sum together; the gradient then finds the row in the second
// cache.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cross_entropy/cross_entropy_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "ops/cpu_kernel.hpp"
#include "ops/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

struct SoftmaxSum {
  float maximum;  ///< of the row
  double sum;     ///< of exp(x - maximum)
};

/// Blocks of logits keep their own maximum; the sum so far is scaled when a block raises it.
template <typename T>
SoftmaxSum softmax_sum(const T* x, std::int64_t columns) {
  constexpr std::int64_t kBlock = 2048;
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  const FloatTag d;
  SoftmaxSum result{kLowest, 0};
  for (std::int64_t begin = 0; begin < columns; begin += kBlock) {
    const std::int64_t count = std::min(kBlock, columns - begin);
    const T* block = x + begin;
    auto largest = hn::Set(d, kLowest);
    for_each_vector(d, count, [&](std::int64_t i, auto extent) HWY_ATTR {
      largest = hn::Max(fill_rest(d, load(d, block + i, extent), kLowest, extent), largest);
    });
    const float maximum = std::max(result.maximum, max_of_lanes(d, largest));
    // Minus infinity everywhere so far adds nothing, and x - maximum would not be a number. A NaN,
    // which a maximum may overlook, must still reach the sum.
    const auto shift = hn::Set(d, maximum == kLowest ? 0.0F : maximum);
    const auto sum = sum_vectors(d, count, [&](std::int64_t i, auto extent, Floats part) HWY_ATTR {
      const auto value = hn::Sub(load(d, block + i, extent), shift);
      return hn::Add(part, fill_rest(d, exp(d, value), 0.0F, extent));
    });
    if (maximum > result.maximum) {
      result.sum *= std::exp(static_cast<double>(result.maximum) - static_cast<double>(maximum));
      result.maximum = maximum;
    }
    result.sum += static_cast<double>(sum_of_lanes(d, sum));
  }
  return result;
}

template <typename T>
void cross_entropy_as(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  const std::int64_t columns = arguments.inputs[0].type.shape[-1];
  const auto* targets = arguments.inputs[1].as<std::int32_t>();
  float* losses = arguments.outputs[0].as<float>();
  const bool gradient = arguments.outputs.size() > 1;
  for (std::int64_t row = begin; row < end; ++row) {
    const T* x = arguments.inputs[0].as<T>() + row * columns;
    T* dx = gradient ? arguments.outputs[1].as<T>() + row * columns : nullptr;
    const std::int32_t target = targets[row];
    if (target < 0) {
      losses[row] = 0;
      if (gradient)
        std::memset(static_cast<void*>(dx), 0, static_cast<std::size_t>(columns) * sizeof(T));
      continue;
    }
    if (target >= columns) {
      fail(ExitCode::kBadData,
           "cross_entropy: target {} of row {} is not below the {} classes of the model; check "
           "that the data set was made for this model",
           target, row, columns);
    }
    const SoftmaxSum total = softmax_sum(x, columns);
    const double distance =
        static_cast<double>(static_cast<float>(x[target])) - static_cast<double>(total.maximum);
    losses[row] = static_cast<float>(std::log(total.sum) - distance);
    if (!gradient) continue;
    const auto maximum = hn::Set(d, total.maximum);
    const auto scale = hn::Set(d, static_cast<float>(1 / total.sum));
    for_each_vector(d, columns, [&](std::int64_t i, auto extent) HWY_ATTR {
      const auto probability = hn::Mul(exp(d, hn::Sub(load(d, x + i, extent), maximum)), scale);
      store(d, probability, dx + i, extent);
    });
    // In double, since a probability near 1 would lose its distance from 1; x may be dx's memory
    // and is not read any more.
    dx[target] = static_cast<T>(static_cast<float>(std::exp(distance) / total.sum - 1));
  }
}

void cross_entropy_rows(const KernelArguments& arguments, std::int64_t begin, std::int64_t end) {
  if (arguments.inputs[0].type.dtype == DType::kF32) {
    cross_entropy_as<float>(arguments, begin, end);
  } else {
    cross_entropy_as<Bf16>(arguments, begin, end);
  }
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot::cpu {

HWY_EXPORT(cross_entropy_rows);

namespace {

std::unique_ptr<Kernel> cross_entropy_kernel(const PrepareContext& context) {
  const Shape& logits = context.types.inputs[0].shape;
  const std::int64_t rows = logits.leading_count();
  const std::int64_t grain = std::max<std::int64_t>(1, 8192 / logits[-1]);
  return make_cpu_kernel([=](ThreadPool& pool, const KernelArguments& arguments) {
    pool.parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
      HWY_DYNAMIC_DISPATCH(cross_entropy_rows)(arguments, begin, end);
    });
  });
}

/// log(1 + e^x) without overflow.
double softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

template <typename T>
void binary_rows(const KernelArguments& arguments, double positive_weight, std::int64_t begin,
                 std::int64_t end) {
  const T* logits = arguments.inputs[0].as<T>();
  const auto* labels = arguments.inputs[1].as<std::int32_t>();
  float* losses = arguments.outputs[0].as<float>();
  T* gradients = arguments.outputs.size() > 1 ? arguments.outputs[1].as<T>() : nullptr;
  for (std::int64_t row = begin; row < end; ++row) {
    if (labels[row] > 1) {
      fail(ExitCode::kBadData,
           "binary_cross_entropy: label {} of row {} is neither 0 nor 1; a model with more classes "
           "needs the multi-class loss",
           labels[row], row);
    }
    const auto x = static_cast<double>(static_cast<float>(logits[row]));
    double loss = 0;
    double gradient = 0;
    if (labels[row] == 1) {
      loss = positive_weight * softplus(-x);
      gradient = -positive_weight / (1 + std::exp(x));
    } else if (labels[row] == 0) {
      loss = softplus(x);
      gradient = 1 / (1 + std::exp(-x));
    }
    losses[row] = static_cast<float>(loss);
    if (gradients != nullptr) gradients[row] = static_cast<T>(static_cast<float>(gradient));
  }
}

std::unique_ptr<Kernel> binary_cross_entropy_kernel(const PrepareContext& context) {
  const bool is_f32 = context.types.inputs[0].dtype == DType::kF32;
  const double positive_weight = context.types.attributes.real("positive_weight");
  return make_cpu_kernel([=](ThreadPool& pool, const KernelArguments& arguments) {
    pool.parallel_for(arguments.inputs[1].count(), 512, [&](std::int64_t begin, std::int64_t end) {
      if (is_f32) {
        binary_rows<float>(arguments, positive_weight, begin, end);
      } else {
        binary_rows<Bf16>(arguments, positive_weight, begin, end);
      }
    });
  });
}

std::unique_ptr<Kernel> loss_sums_kernel(const PrepareContext& context) {
  const std::int64_t samples = context.types.outputs[0].count();
  const std::int64_t length = samples == 0 ? 0 : context.types.inputs[0].count() / samples;
  return make_cpu_kernel([=](ThreadPool& pool, const KernelArguments& arguments) {
    const float* losses = arguments.inputs[0].as<float>();
    auto* sums = arguments.outputs[0].as<double>();
    const std::int64_t grain = 1 + 4096 / std::max<std::int64_t>(1, length);
    pool.parallel_for(samples, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t sample = begin; sample < end; ++sample) {
        double sum = 0;
        for (std::int64_t i = 0; i < length; ++i) {
          sum += static_cast<double>(losses[sample * length + i]);
        }
        sums[sample] = sum;
      }
    });
  });
}

}  // namespace

void add_cross_entropy_kernels(Registry& registry) {
  registry.add_kernel("cross_entropy", DeviceKind::kCpu, cross_entropy_kernel);
  registry.add_kernel("binary_cross_entropy", DeviceKind::kCpu, binary_cross_entropy_kernel);
  registry.add_kernel("loss_sums", DeviceKind::kCpu, loss_sums_kernel);
}

}  // namespace ingot::cpu
#endif  // HWY_ONCE
