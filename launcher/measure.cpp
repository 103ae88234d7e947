#include "launcher/measure.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "ops/base/bf16.hpp"
#include "ops/step_scalars.hpp"
#include "runtime/execute/host_transfer.hpp"

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

/// Into memory of the host.
void fill(const CaseInput& input, const TensorView& view) {
  if (input.fill == Fill::kScalars) {
    StepScalars scalars;
    scalars.step = scalars.adam_step = 10;
    scalars.learning_rate = 1e-4;
    scalars.ema_decay = 0.999;
    scalars.clip_norm = 1;
    scalars.cache_length = input.bound;
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
  PreparedCase(const Registry& registry, Device& device, const OpCase& use)
      : use_(use),
        begin_(device.create_event()),
        end_(device.create_event()),
        stream_(device.create_stream("bench")) {
    HostTransfer transfer(device);
    std::vector<std::byte> contents;
    for (const CaseInput& input : use.inputs) {
      input_types_.push_back(input.type);
      inputs_.push_back(allocate(device, input.type));
      if (input.type.count() == 0) continue;
      contents.resize(static_cast<std::size_t>(input.type.bytes()));
      fill(input, {contents.data(), input.type});
      transfer.write(inputs_.back().data, contents.data(), input.type.bytes());
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
    return time([&] { enqueue(count); });
  }
  /// The same, replayed where the device can.
  double replay(std::int64_t count) {
    if (!recording_ || recorded_ != count) {
      recording_ = stream_->device().record(*stream_, "bench", [&] { enqueue(count); });
      recorded_ = count;
    }
    if (!recording_) return run(count);
    return time([&] { recording_->replay(*stream_); });
  }

 private:
  TensorView allocate(Device& device, const TensorType& type) {
    if (type.count() == 0) return {nullptr, type};
    buffers_.push_back(device.allocate(type.bytes(), "bench"));
    return {buffers_.back().data(), type};
  }

  void enqueue(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) kernel_->enqueue(*stream_, arguments_);
  }
  template <typename Work>
  double time(const Work& work) {
    stream_->record(*begin_);
    work();
    stream_->record(*end_);
    stream_->synchronize();
    return end_->seconds_since(*begin_);
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
  std::unique_ptr<Event> begin_;
  std::unique_ptr<Event> end_;
  std::unique_ptr<Stream> stream_;  // destroyed before what is above: its worker uses that
  std::unique_ptr<Recording> recording_;
  std::int64_t recorded_ = 0;  // executions in it
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

OpTime measure_op(const Registry& registry, Device& device, const OpCase& use, double seconds) {
  PreparedCase prepared(registry, device, use);
  prepared.run(1);  // page faults, lazily created primitives, modules of the GPU
  const double once = std::max(prepared.run(1), 1e-7);
  // Batches of a few milliseconds, and at most as many executions as a recording may well have.
  constexpr double kBatchSeconds = 0.005;
  constexpr double kMostExecutions = 500;
  const auto count =
      static_cast<std::int64_t>(std::clamp(kBatchSeconds / once, 1.0, kMostExecutions));
  prepared.replay(count);  // the first replay puts the recording onto the device
  std::vector<double> times;
  const double start = now();
  do {
    times.push_back(std::max(prepared.replay(count), 1e-9) / static_cast<double>(count));
  } while (now() - start < seconds);
  const double least = *std::min_element(times.begin(), times.end());
  return {median(std::move(times)), least, prepared.cost()};
}

double measure_matrix_peak(const Registry& registry, Device& device, DType type,
                           std::span<const std::int64_t> sizes, double seconds) {
  double best = 0;
  for (const std::int64_t size : sizes) {
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

double measure_copy(const Registry& registry, Device& device, std::int64_t bytes, double seconds) {
  const OpCase use{
      "copy", DType::kF32, {{{DType::kF32, Shape{bytes / std::int64_t{sizeof(float)}}}}}, {}};
  const OpTime time = measure_op(registry, device, use, seconds);
  return static_cast<double>(time.cost.bytes_read + time.cost.bytes_written) / time.least_seconds;
}

}  // namespace ingot
