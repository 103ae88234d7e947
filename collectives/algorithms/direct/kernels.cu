#include "collectives/algorithms/direct/launches.cuh"

namespace ingot::direct {

constexpr Omit kAll = Omit::kNothing;

template <typename T>
void Reductions<T>::one_shot(const Lane& lane, cudaStream_t stream, void* data, std::int64_t count,
                             Reduction reduction) {
  launch_one_shot<T, kAll>(lane, stream, data, count, reduction);
}
template <typename T>
void Reductions<T>::two_shot(const Lane& lane, cudaStream_t stream, void* data, std::int64_t count,
                             Reduction reduction) {
  launch_two_shot<T, kAll>(lane, stream, data, count, reduction);
}
template <typename T>
void Reductions<T>::reduce_scatter(const Lane& lane, cudaStream_t stream, void* to,
                                   const void* from, std::int64_t count, std::int64_t stride,
                                   Reduction reduction) {
  launch_reduce_scatter<T, kAll>(lane, stream, to, from, count, stride, reduction);
}

template struct Reductions<float>;
template struct Reductions<Bf16>;
template struct Reductions<double>;
template struct Reductions<std::uint8_t>;
template struct Reductions<std::uint16_t>;
template struct Reductions<std::int32_t>;
template struct Reductions<std::uint32_t>;
template struct Reductions<std::int64_t>;

void launch_movement(const Lane& lane, cudaStream_t stream, Movement movement, int root, void* to,
                     const void* from, std::int64_t count, std::int64_t stride, int bytes) {
  const unsigned blocks = blocks_for(lane, vectors_of(count, bytes));
  const auto launch = [&](auto kernel) {
    kernel<<<blocks, kThreads, 0, stream>>>(lane, movement, root, to, from, count, stride);
  };
  switch (bytes) {
    case 1:
      return launch(exchange_kernel<std::uint8_t, kAll>);
    case 2:
      return launch(exchange_kernel<std::uint16_t, kAll>);
    case 4:
      return launch(exchange_kernel<std::uint32_t, kAll>);
    default:
      return launch(exchange_kernel<std::uint64_t, kAll>);
  }
}

}  // namespace ingot::direct
