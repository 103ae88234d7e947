#include "launcher/measure.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "ops/base/bf16.hpp"
#include "ops/step_scalars.hpp"

namespace ingot {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// value(i) for every element, with i counting a cheap pseudo-random sequence.
template <typename T, typename Value>
void fill_with(const TensorView& view, Value value) {
  T* elements = view.as<T>();
  std::uint32_t state = 1;
  for (std::int64_t i = 0; i < view.count(); ++i) {
    state = state * 1664525U + 1013904223U;  // Knuth and Lewis; its high bits are good enough here
    elements[i] = value(state >> 8);
  }
}

void fill(const CaseInput& input, const TensorView& view) {
  if (input.fill == Fill::kScalars) {
    StepScalars scalars;
    scalars.step = scalars.adam_step = 10;
    scalars.learning_rate = 1e-4;
    scalars.ema_decay = 0.999;
    scalars.clip_norm = 1;
    scalars.cache_length = 255;
    std::memcpy(view.data, &scalars, sizeof(scalars));
    return;
  }
  const bool constant = input.fill == Fill::kConstant;
  const auto real = [&](std::uint32_t random) {
    constexpr float kHalf = 8388608;  // of the 24 random bits
    return constant ? static_cast<float>(input.bound) : static_cast<float>(random) / kHalf - 1;
  };
  const auto index = [&](std::uint32_t random) { return std::int64_t{random} % input.bound; };
  switch (view.type.dtype) {
    case DType::kF32:
      return fill_with<float>(view, real);
    case DType::kBf16:
      return fill_with<Bf16>(view, [&](std::uint32_t random) { return Bf16(real(random)); });
    case DType::kF64:
      return fill_with<double>(view, real);
    case DType::kI32:
      return fill_with<std::int32_t>(
          view, [&](std::uint32_t random) { return static_cast<std::int32_t>(index(random)); });
    case DType::kI64:
      return fill_with<std::int64_t>(view, index);
    default:
      ensure(false, "an element type that occurs among the cases");
  }
}

/// A case with its memory, ready to run.
class PreparedCase {
 public:
  PreparedCase(const Registry& registry, cpu::CpuDevice& device, const OpCase& use)
      : use_(use), stream_(device.create_stream("bench")) {
    for (const CaseInput& input : use.inputs) {
      input_types_.push_back(input.type);
      inputs_.push_back(allocate(device, input.type));
      if (input.type.count() > 0) fill(input, inputs_.back());
    }
    const Op& op = registry.find(use.op);
    output_types_ = op.infer(input_types_, use.attributes);
    for (const TensorType& type : output_types_) outputs_.push_back(allocate(device, type));
    const OpTypes types{input_types_, output_types_, use_.attributes};
    cost_ = op.cost(types);
    kernel_ = registry.prepare(use.op, {device, types});
    const std::int64_t bytes = kernel_->workspace_bytes();
    if (bytes > 0) {
      buffers_.push_back(device.allocate(bytes, "workspace"));
      workspace_ = {static_cast<std::byte*>(buffers_.back().data()),
                    static_cast<std::size_t>(bytes)};
    }
    arguments_ = {inputs_, outputs_, workspace_};
  }
  PreparedCase(const PreparedCase&) = delete;
  PreparedCase& operator=(const PreparedCase&) = delete;

  const Cost& cost() const { return cost_; }

  /// Seconds that `count` executions take.
  double run(std::int64_t count) {
    const double start = now();
    for (std::int64_t i = 0; i < count; ++i) kernel_->enqueue(*stream_, arguments_);
    stream_->synchronize();
    return now() - start;
  }

 private:
  TensorView allocate(cpu::CpuDevice& device, const TensorType& type) {
    if (type.count() == 0) return {nullptr, type};
    buffers_.push_back(device.allocate(type.bytes(), "bench"));
    return {buffers_.back().data(), type};
  }

  OpCase use_;
  std::vector<Buffer> buffers_;
  std::vector<TensorType> input_types_;
  std::vector<TensorType> output_types_;
  std::vector<TensorView> inputs_;
  std::vector<TensorView> outputs_;
  std::span<std::byte> workspace_;
  KernelArguments arguments_;
  Cost cost_;
  std::unique_ptr<Kernel> kernel_;
  std::unique_ptr<Stream> stream_;  // destroyed first: its worker uses what is above
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

OpTime measure_op(const Registry& registry, cpu::CpuDevice& device, const OpCase& use,
                  double seconds) {
  PreparedCase prepared(registry, device, use);
  prepared.run(1);  // page faults and lazily created primitives
  const double once = std::max(prepared.run(1), 1e-7);
  // Batches of a few milliseconds: waking the stream's worker then costs nothing that shows.
  constexpr double kBatchSeconds = 0.005;
  const auto count = std::max<std::int64_t>(1, static_cast<std::int64_t>(kBatchSeconds / once));
  std::vector<double> times;
  const double start = now();
  do {
    times.push_back(prepared.run(count) / static_cast<double>(count));
  } while (now() - start < seconds);
  const double least = *std::min_element(times.begin(), times.end());
  return {median(std::move(times)), least, prepared.cost()};
}

double measure_matrix_peak(const Registry& registry, cpu::CpuDevice& device, DType type,
                           double seconds) {
  double best = 0;
  for (const std::int64_t size : {768, 1024, 1536, 2048}) {
    const OpCase use{
        "linear",
        type,
        {{{type, Shape{size, size}}}, {{type, Shape{size, size}}}, {{DType::kU8, Shape{0}}}},
        {{"activation", std::string("none")}}};
    const OpTime time = measure_op(registry, device, use, seconds);
    best = std::max(best, time.cost.matrix_flops / time.least_seconds);
  }
  return best;
}

double measure_copy(cpu::CpuDevice& device) {
  constexpr std::int64_t kBytes = std::int64_t{128} << 20;
  constexpr std::int64_t kPiece = std::int64_t{1} << 20;
  const Buffer from = device.allocate(kBytes, "bench");
  const Buffer to = device.allocate(kBytes, "bench");
  double best = 0;
  for (int repetition = 0; repetition < 7; ++repetition) {
    const double start = now();
    device.pool().parallel_for(kBytes, kPiece, [&](std::int64_t begin, std::int64_t end) {
      std::memcpy(to.at(begin, end - begin), from.at(begin, end - begin),
                  static_cast<std::size_t>(end - begin));
    });
    best = std::max(best, 2 * static_cast<double>(kBytes) / (now() - start));
  }
  return best;
}

}  // namespace ingot
