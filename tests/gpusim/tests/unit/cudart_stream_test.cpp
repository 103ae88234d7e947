// Streams, events, and the order that they keep or leave open.
#include "cudart_fixture.hpp"

namespace gpusim::cudart {
namespace {

TEST(Streams, RunBesideTheHostAndInOrder) {
  cudaStream_t stream = new_stream();
  Gate gate;
  std::vector<int> order;
  ASSERT_EQ(run_in(stream, [&] { gate.wait(); }), cudaSuccess);
  for (int i = 0; i < 5; ++i) run_in(stream, [&order, i] { order.push_back(i); });
  EXPECT_EQ(cudaStreamQuery(stream), cudaErrorNotReady);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
  gate.open();
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_EQ(cudaStreamQuery(stream), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

TEST(Streams, OfOneDeviceMayWaitForEachOthersKernels) {
  cudaStream_t a = new_stream(), b = new_stream();
  Gate first, second;
  run_in(a, [&] {
    first.open();
    second.wait();
  });
  run_in(b, [&] {
    first.wait();
    second.open();
  });
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  cudaStreamDestroy(a);
  cudaStreamDestroy(b);
}

TEST(Streams, TheLegacyStreamWaitsForBlockingStreamsAndTheyForIt) {
  cudaStream_t blocking = new_stream(), free = new_stream(cudaStreamNonBlocking);
  Gate gate;
  std::atomic<bool> before{false}, legacy{false}, beside{false};
  run_in(blocking, [&] {
    gate.wait();
    before = true;
  });
  run_in(nullptr, [&] { legacy = before.load(); });
  std::atomic<bool> after{false};
  run_in(blocking, [&] { after = legacy.load(); });
  run_in(free, [&] { beside = true; });
  EXPECT_EQ(cudaStreamSynchronize(free), cudaSuccess) << "does not wait for the others";
  EXPECT_TRUE(beside);
  EXPECT_FALSE(before);
  gate.open();
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_TRUE(legacy);
  EXPECT_TRUE(after);
  cudaStreamDestroy(blocking);
  cudaStreamDestroy(free);
}

TEST(Streams, WorkOfADestroyedStreamIsStillDone) {
  cudaStream_t stream = new_stream();
  Gate gate;
  std::atomic<bool> done{false};
  run_in(stream, [&] {
    gate.wait();
    done = true;
  });
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  gate.open();
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_TRUE(done);
}

TEST(Streams, EveryThreadHasADefaultStreamOfItsOwn) {
  unsigned long long here = 0, there = 0;
  ASSERT_EQ(cudaStreamGetId(cudaStreamPerThread, &here), cudaSuccess);
  std::thread([&] { cudaStreamGetId(cudaStreamPerThread, &there); }).join();
  EXPECT_NE(here, there);
}

TEST(Streams, HostFunctionsMayNotCallBack) {
  cudaError_t inside = cudaSuccess;
  ASSERT_EQ(
      cudaLaunchHostFunc(
          nullptr, [](void* data) { *static_cast<cudaError_t*>(data) = cudaDeviceSynchronize(); },
          &inside),
      cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(inside, cudaErrorNotPermitted);
}

TEST(Events, MakeOneStreamWaitForAnother) {
  cudaStream_t a = new_stream(cudaStreamNonBlocking), b = new_stream(cudaStreamNonBlocking);
  cudaEvent_t event = event_of_test();
  Gate gate;
  std::atomic<bool> first{false}, seen{false};
  run_in(a, [&] {
    gate.wait();
    first = true;
  });
  ASSERT_EQ(cudaEventRecord(event, a), cudaSuccess);
  ASSERT_EQ(cudaStreamWaitEvent(b, event, 0), cudaSuccess);
  run_in(b, [&] { seen = first.load(); });
  EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
  gate.open();
  EXPECT_EQ(cudaStreamSynchronize(b), cudaSuccess);
  EXPECT_TRUE(seen);
  EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(event, a), cudaErrorInvalidResourceHandle);
  cudaStreamDestroy(a);
  cudaStreamDestroy(b);
}

TEST(Events, MeasureTimeOnlyWhereBothWereRecordedForIt) {
  cudaEvent_t start = nullptr, end = nullptr, untimed = event_of_test();
  cudaEventCreate(&start);
  cudaEventCreate(&end);
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorInvalidResourceHandle);
  cudaEventRecord(start, nullptr);
  cudaEventRecord(end, nullptr);
  cudaEventRecord(untimed, nullptr);
  ASSERT_EQ(cudaEventSynchronize(end), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaSuccess);
  EXPECT_GE(milliseconds, 0);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, untimed), cudaErrorInvalidResourceHandle);
  for (cudaEvent_t event : {start, end, untimed}) cudaEventDestroy(event);
}

/// Problems that `body` brings.
std::uint64_t problems_of(const std::function<void()>& body) {
  const std::uint64_t before = problems_reported();
  body();
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  return problems_reported() - before;
}

TEST(StreamOrderCheck, TwoStreamsThatShareABufferWithoutAnEventAreReported) {
  cudaStream_t a = new_stream(), b = new_stream();
  cudaEvent_t event = event_of_test();
  auto* data = device_array<int>(100);
  EXPECT_EQ(problems_of([&] {
              run_in(
                  a, [] {}, writes(data, 400));
              run_in(
                  b, [] {}, reads(data, 400));
            }),
            1U);
  EXPECT_EQ(problems_of([&] {
              run_in(
                  a, [] {}, writes(data, 400));
              cudaEventRecord(event, a);
              cudaStreamWaitEvent(b, event, 0);
              run_in(
                  b, [] {}, writes(data, 400));
            }),
            0U);
  EXPECT_EQ(problems_of([&] {
              cudaMemsetAsync(data, 0, 400, b);
              cudaStreamSynchronize(b);
              run_in(
                  a, [] {}, reads(data, 400));
            }),
            0U);
  EXPECT_EQ(problems_of([&] {
              run_in(
                  a, [] {}, writes(data, 400));
              run_in(
                  nullptr, [] {}, writes(data, 400));
              run_in(
                  b, [] {}, writes(data, 400));
            }),
            0U)
      << "the default stream stands between them";
  cudaFree(data);
  cudaEventDestroy(event);
  cudaStreamDestroy(a);
  cudaStreamDestroy(b);
}

TEST(StreamOrderCheck, MemoryFromAPoolExistsBetweenItsTwoCalls) {
  cudaStream_t a = new_stream(), b = new_stream();
  void* data = nullptr;
  EXPECT_EQ(problems_of([&] {
              ASSERT_EQ(cudaMallocAsync(&data, 4096, a), cudaSuccess);
              run_in(
                  a, [] {}, writes(data, 4096));
            }),
            0U);
  Gate gate;
  EXPECT_EQ(problems_of([&] {
              run_in(
                  b, [&] { gate.wait(); }, reads(data, 4096));
              run_in(
                  a, [&] { gate.open(); }, writes(data, 4096));
            }),
            1U);
  EXPECT_EQ(cudaFreeAsync(data, a), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a), cudaSuccess);
  EXPECT_EQ(cudaFreeAsync(data, a), cudaErrorInvalidValue) << "it is freed already";
  cudaStreamDestroy(a);
  cudaStreamDestroy(b);
}

}  // namespace
}  // namespace gpusim::cudart
