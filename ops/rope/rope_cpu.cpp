// rope on the CPU. Angles are in double: positions of many thousands would lose their fraction in
// f32. Sines and cosines are evaluated at the first row of a piece and where positions jump; for a
// position one further they are rotated by one step, which in double costs no digit that f32 keeps.
#include "ops/rope/rope_cpu.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "ops/cpu_kernel.hpp"
#include "ops/rope/rope_simd.hpp"

namespace ingot::cpu {

namespace {

/// Tokens of one sequence per piece.
constexpr std::int64_t kTokens = 32;

/// Angles of one position, position * base^(-2i/D) for i < D/2, as a piece keeps them.
class Angles {
 public:
  static std::int64_t bytes(std::int64_t half) {
    return half * 2 * (size_of(DType::kF64) + size_of(DType::kF32));
  }
  Angles(std::byte* memory, std::int64_t half)
      : half_(half),
        exact_(reinterpret_cast<double*>(memory)),
        rounded_(reinterpret_cast<float*>(exact_ + 2 * half)) {}

  void set(std::int32_t position, const std::vector<double>& frequencies) {
    for (std::int64_t i = 0; i < half_; ++i) {
      const double angle = position * frequencies[static_cast<std::size_t>(i)];
      exact_[i] = std::cos(angle);
      exact_[half_ + i] = std::sin(angle);
    }
    round();
  }
  /// To the next position; `step` holds cosines and sines of the frequencies.
  void advance(const std::vector<double>& step) {
    const double* cosines = step.data();
    const double* sines = cosines + half_;
    for (std::int64_t i = 0; i < half_; ++i) {
      const double cosine = exact_[i];
      const double sine = exact_[half_ + i];
      exact_[i] = cosine * cosines[i] - sine * sines[i];
      exact_[half_ + i] = sine * cosines[i] + cosine * sines[i];
    }
    round();
  }
  const float* cosines() const { return rounded_; }
  const float* sines() const { return rounded_ + half_; }

 private:
  void round() {
    for (std::int64_t i = 0; i < 2 * half_; ++i) rounded_[i] = static_cast<float>(exact_[i]);
  }

  std::int64_t half_;
  double* exact_;
  float* rounded_;
};

}  // namespace

std::unique_ptr<Kernel> prepare_rope(const PrepareContext& context) {
  const TensorType& x = context.types.inputs[0];
  const Attributes& attributes = context.types.attributes;
  const std::int64_t kv_heads = attributes.integer("kv_heads");
  const std::int64_t rotated = attributes.integer("heads") + kv_heads;
  const std::int64_t batch = x.shape[0];
  const std::int64_t tokens = x.shape[1];
  const std::int64_t width = x.shape[2];
  const std::int64_t head_size = width / (rotated + kv_heads);
  const std::int64_t half = head_size / 2;
  std::vector<double> frequencies;
  std::vector<double> step(static_cast<std::size_t>(head_size));
  for (std::int64_t i = 0; i < half; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(head_size);
    const double frequency = std::pow(attributes.real("base"), exponent) *
                             static_cast<double>(attributes.integer("direction"));
    frequencies.push_back(frequency);
    step[static_cast<std::size_t>(i)] = std::cos(frequency);
    step[static_cast<std::size_t>(half + i)] = std::sin(frequency);
  }
  const std::int64_t pieces = (tokens + kTokens - 1) / kTokens;  // per sequence
  return make_cpu_kernel(
      [=, dtype = x.dtype, frequencies = std::move(frequencies), step = std::move(step)](
          ThreadPool& pool, const KernelArguments& arguments) {
        const std::int64_t element = size_of(dtype);
        const auto* from = static_cast<const std::byte*>(arguments.inputs[0].data);
        const std::int32_t* positions = arguments.inputs[1].as<std::int32_t>();
        auto* to = static_cast<std::byte*>(arguments.outputs[0].data);
        pool.parallel_for(batch * pieces, 1, [&](std::int64_t piece, std::int64_t /*end*/) {
          Angles angles(arguments.workspace.data() + piece * Angles::bytes(half), half);
          const std::int64_t first = piece % pieces * kTokens;
          const std::int64_t row = piece / pieces * tokens + first;
          const std::int64_t end = row + std::min(kTokens, tokens - first);
          for (std::int64_t r = row; r < end; ++r) {
            if (r == row || positions[r] != positions[r - 1] + 1) {
              angles.set(positions[r], frequencies);
            } else {
              angles.advance(step);
            }
            const std::byte* in = from + r * width * element;
            std::byte* out = to + r * width * element;
            rotate_heads(dtype, in, out, rotated, head_size, angles.cosines(), angles.sines());
            if (in == out) continue;
            const std::int64_t values = rotated * head_size * element;
            std::memcpy(out + values, in + values,
                        static_cast<std::size_t>(kv_heads * head_size * element));
          }
        });
      },
      batch * pieces * Angles::bytes(half));
}

}  // namespace ingot::cpu
