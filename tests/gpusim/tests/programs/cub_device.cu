// cub's primitives over a device: reduce, scan, sort, select, histogram, run-length encoding.
//
// timeout: 300
#include <algorithm>
#include <cub/device/device_histogram.cuh>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_reduce.cuh>
#include <cub/device/device_run_length_encode.cuh>
#include <cub/device/device_scan.cuh>
#include <cub/device/device_select.cuh>
#include <functional>
#include <numeric>

#include "check.cuh"

/// Runs a primitive of cub as it wants to be called: once for the size of its workspace.
template <typename Call>
void run(Call call) {
  std::size_t bytes = 0;
  check(call(nullptr, bytes));
  Buffer<char> workspace(bytes + 1);
  check(call(workspace.data(), bytes));
  finish();
}

struct IsOdd {
  __device__ bool operator()(int value) const { return (value & 1) != 0; }
};

int main() {
  for (const int n : {1, 700, 30000}) {
    std::vector<int> values(n);
    for (int i = 0; i < n; ++i) values[i] = static_cast<int>(i * 2654435761U >> 22) - 300;
    Buffer<int> in(values);
    Buffer<int> out(n);
    Buffer<int> count(1);

    run([&](void* space, std::size_t& bytes) {
      return cub::DeviceReduce::Sum(space, bytes, in.data(), out.data(), n);
    });
    require(out.download()[0] == std::accumulate(values.begin(), values.end(), 0), "sum");

    run([&](void* space, std::size_t& bytes) {
      return cub::DeviceScan::ExclusiveSum(space, bytes, in.data(), out.data(), n);
    });
    std::vector<int> scanned(n);
    std::exclusive_scan(values.begin(), values.end(), scanned.begin(), 0);
    require(out.download() == scanned, "scan");

    run([&](void* space, std::size_t& bytes) {
      return cub::DeviceSelect::If(space, bytes, in.data(), out.data(), count.data(), n, IsOdd());
    });
    std::vector<int> odd;
    std::copy_if(values.begin(), values.end(), std::back_inserter(odd),
                 [](int value) { return (value & 1) != 0; });
    require(count.download()[0] == static_cast<int>(odd.size()), "number selected");
    if (!odd.empty()) {
      std::vector<int> found(odd.size());
      check(cudaMemcpy(found.data(), out.data(), odd.size() * sizeof(int), cudaMemcpyDefault));
      require(found == odd, "selected");
    }

    run([&](void* space, std::size_t& bytes) {
      return cub::DeviceRadixSort::SortKeys(space, bytes, in.data(), out.data(), n);
    });
    std::vector<int> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    require(out.download() == sorted, "sorted");

    Buffer<int> unique(n);
    Buffer<int> lengths(n);
    run([&](void* space, std::size_t& bytes) {
      return cub::DeviceRunLengthEncode::Encode(space, bytes, out.data(), unique.data(),
                                                lengths.data(), count.data(), n);
    });
    std::vector<int> different = sorted;
    different.erase(std::unique(different.begin(), different.end()), different.end());
    require(count.download()[0] == static_cast<int>(different.size()), "number of runs");

    Buffer<int> bins(10);
    run([&](void* space, std::size_t& bytes) {
      return cub::DeviceHistogram::HistogramEven(space, bytes, in.data(), bins.data(), 11, -300,
                                                 700, n);
    });
    const auto counted = bins.download();
    require(std::accumulate(counted.begin(), counted.end(), 0) ==
                std::count_if(values.begin(), values.end(),
                              [](int value) { return value >= -300 && value < 700; }),
            "everything in range is counted once");
  }
  return done();
}
