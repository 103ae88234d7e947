// The kernels of direct collectives with one thing left out, which INGOT_TEST_OMIT names: they take
// the place of the product's in a module of their own (CMakeLists.txt), so that a test can see that
// gpusim or the results tell. Of f32 alone.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "collectives/algorithms/direct/launches.cuh"

namespace ingot::direct {
namespace {

Omit omitted() {
  const char* name = std::getenv("INGOT_TEST_OMIT");
  const std::string_view omit = name == nullptr ? "nothing" : name;
  if (omit == "barrier_before") return Omit::kBarrierBefore;
  if (omit == "release") return Omit::kRelease;
  if (omit == "wait") return Omit::kWait;
  if (omit == "acquire") return Omit::kAcquire;
  if (omit == "barrier_after") return Omit::kBarrierAfter;
  if (omit == "second_meeting") return Omit::kSecondMeeting;
  if (omit == "second_half") return Omit::kSecondHalf;
  return Omit::kNothing;
}

/// Calls launch.operator()<kOmit>() for what is omitted.
template <typename Launch>
void with_omission(const Launch& launch) {
  switch (omitted()) {
    case Omit::kNothing:
      return launch.template operator()<Omit::kNothing>();
    case Omit::kBarrierBefore:
      return launch.template operator()<Omit::kBarrierBefore>();
    case Omit::kRelease:
      return launch.template operator()<Omit::kRelease>();
    case Omit::kWait:
      return launch.template operator()<Omit::kWait>();
    case Omit::kAcquire:
      return launch.template operator()<Omit::kAcquire>();
    case Omit::kBarrierAfter:
      return launch.template operator()<Omit::kBarrierAfter>();
    case Omit::kSecondMeeting:
      return launch.template operator()<Omit::kSecondMeeting>();
    case Omit::kSecondHalf:
      return launch.template operator()<Omit::kSecondHalf>();
  }
}

[[noreturn]] void not_here() {
  std::fputs("the omitting module has one_shot and two_shot of f32 alone\n", stderr);
  std::abort();
}

}  // namespace

template <typename T>
void Reductions<T>::one_shot(const Lane&, cudaStream_t, void*, std::int64_t, Reduction) {
  not_here();
}
template <typename T>
void Reductions<T>::two_shot(const Lane&, cudaStream_t, void*, std::int64_t, Reduction) {
  not_here();
}
template <typename T>
void Reductions<T>::reduce_scatter(const Lane&, cudaStream_t, void*, const void*, std::int64_t,
                                   std::int64_t, Reduction) {
  not_here();
}
template <>
void Reductions<float>::one_shot(const Lane& lane, cudaStream_t stream, void* data,
                                 std::int64_t count, Reduction reduction) {
  with_omission(
      [&]<Omit kOmit>() { launch_one_shot<float, kOmit>(lane, stream, data, count, reduction); });
}
template <>
void Reductions<float>::two_shot(const Lane& lane, cudaStream_t stream, void* data,
                                 std::int64_t count, Reduction reduction) {
  with_omission(
      [&]<Omit kOmit>() { launch_two_shot<float, kOmit>(lane, stream, data, count, reduction); });
}

template struct Reductions<float>;
template struct Reductions<Bf16>;
template struct Reductions<double>;
template struct Reductions<std::uint8_t>;
template struct Reductions<std::uint16_t>;
template struct Reductions<std::int32_t>;
template struct Reductions<std::uint32_t>;
template struct Reductions<std::int64_t>;

void launch_movement(const Lane&, cudaStream_t, Movement, int, void*, const void*, std::int64_t,
                     std::int64_t, int) {
  not_here();
}

}  // namespace ingot::direct
