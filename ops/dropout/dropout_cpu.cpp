// CPU kernel of dropout. Random words come a vector of Philox blocks at a time; the comparison
// with p is made on their upper 24 bits as integers, which is exact.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/dropout/dropout_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

#include "ops/cpu_kernel.hpp"
#include "ops/philox-inl.hpp"
#include "ops/simd-inl.hpp"
#include "ops/step_scalars.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

template <typename T>
void dropout_as(const T* x, T* y, std::uint64_t seed, std::uint64_t sample,
                std::uint64_t first_block, double p, std::int64_t count) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> words;
  const hn::RebindToSigned<FloatTag> integers;
  // Kept when word / 2^24 >= p, with the word's upper 24 bits.
  const auto threshold = hn::Set(integers, static_cast<std::int32_t>(std::ceil(p * 0x1p24)));
  const auto scale = hn::Set(d, static_cast<float>(1 / (1 - p)));
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  HWY_ALIGN std::uint32_t random[4 * hn::MaxLanes(words)];
  for (std::int64_t begin = 0; begin < count; begin += 4 * lanes) {
    philox_blocks(words, seed, RandomPurpose::kDropout, sample,
                  first_block + static_cast<std::uint64_t>(begin / 4), random);
    const std::int64_t here = std::min(4 * lanes, count - begin);
    for_each_vector(d, here, [&](std::int64_t i, auto extent) HWY_ATTR {
      const auto word = hn::ShiftRight<8>(hn::Load(words, random + i));
      const auto dropped = hn::Lt(hn::BitCast(integers, word), threshold);
      const auto value = hn::Mul(load(d, x + begin + i, extent), scale);
      store(d, hn::IfThenZeroElse(hn::RebindMask(d, dropped), value), y + begin + i, extent);
    });
  }
}

/// Elements [begin, end) of sample `sample` of the batch; begin is a multiple of 4.
void dropout_range(const KernelArguments& arguments, double p, std::int64_t layer,
                   std::int64_t per_sample, std::int64_t sample, std::int64_t begin,
                   std::int64_t end) {
  const auto& scalars = *static_cast<const StepScalars*>(arguments.inputs[2].data);
  const auto index = static_cast<std::uint64_t>(arguments.inputs[1].as<std::int64_t>()[sample]);
  const std::uint64_t first_block =
      (static_cast<std::uint64_t>(layer) << 40) + static_cast<std::uint64_t>(begin / 4);
  const std::int64_t at = sample * per_sample + begin;
  if (arguments.outputs[0].type.dtype == DType::kF32) {
    dropout_as(arguments.inputs[0].as<float>() + at, arguments.outputs[0].as<float>() + at,
               scalars.seed, index, first_block, p, end - begin);
  } else {
    dropout_as(arguments.inputs[0].as<Bf16>() + at, arguments.outputs[0].as<Bf16>() + at,
               scalars.seed, index, first_block, p, end - begin);
  }
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot::cpu {

HWY_EXPORT(dropout_range);

namespace {

std::unique_ptr<Kernel> dropout_kernel(const PrepareContext& context) {
  constexpr std::int64_t kPiece = 8192;  // elements; a multiple of 4
  const std::int64_t samples = context.types.inputs[1].count();
  const std::int64_t per_sample = samples == 0 ? 0 : context.types.inputs[0].count() / samples;
  // Long samples are cut into several pieces, short ones are taken several at a time.
  const std::int64_t cuts = std::max<std::int64_t>(1, (per_sample + kPiece - 1) / kPiece);
  const std::int64_t grain =
      std::max<std::int64_t>(1, kPiece / std::max<std::int64_t>(1, per_sample));
  const double p = context.types.attributes.real("p");
  const std::int64_t layer = context.types.attributes.integer("layer");
  return make_cpu_kernel([=](ThreadPool& pool, const KernelArguments& arguments) {
    pool.parallel_for(samples * cuts, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t piece = begin; piece < end; ++piece) {
        const std::int64_t first = (piece % cuts) * kPiece;
        HWY_DYNAMIC_DISPATCH(dropout_range)
        (arguments, p, layer, per_sample, piece / cuts, first,
         std::min(first + kPiece, per_sample));
      }
    });
  });
}

}  // namespace

void add_dropout_kernels(Registry& registry) {
  registry.add_kernel("dropout", DeviceKind::kCpu, dropout_kernel);
}

}  // namespace ingot::cpu
#endif  // HWY_ONCE
