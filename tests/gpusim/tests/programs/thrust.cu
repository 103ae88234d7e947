// Thrust: vectors, transformations, sorting by key, reductions and scans over a device.
//
// timeout: 300
#include <thrust/device_vector.h>
#include <thrust/functional.h>
#include <thrust/host_vector.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/reduce.h>
#include <thrust/scan.h>
#include <thrust/sort.h>
#include <thrust/transform_reduce.h>

#include <algorithm>

#include "check.cuh"

struct Square {
  __host__ __device__ long long operator()(int x) const { return static_cast<long long>(x) * x; }
};

int main() {
  constexpr int kCount = 5000;
  thrust::host_vector<int> keys(kCount);
  for (int i = 0; i < kCount; ++i) keys[i] = i * 7919 % 5003;
  thrust::device_vector<int> device_keys = keys;
  thrust::device_vector<int> values(thrust::counting_iterator<int>(0),
                                    thrust::counting_iterator<int>(kCount));
  const long long squares = thrust::transform_reduce(device_keys.begin(), device_keys.end(),
                                                     Square(), 0LL, thrust::plus<long long>());
  long long expected = 0;
  for (const int key : keys) expected += static_cast<long long>(key) * key;
  require(squares == expected, "the sum of squares");

  thrust::sort_by_key(device_keys.begin(), device_keys.end(), values.begin());
  const thrust::host_vector<int> sorted = device_keys;
  const thrust::host_vector<int> order = values;
  for (int i = 0; i < kCount; ++i) {
    require(keys[order[i]] == sorted[i], "values follow their keys");
    require(i == 0 || sorted[i - 1] < sorted[i], "sorted");
  }
  thrust::inclusive_scan(device_keys.begin(), device_keys.end(), values.begin());
  require(values[1] == sorted[0] + sorted[1], "prefix sums");
  require(thrust::reduce(device_keys.begin(), device_keys.end(), 0, thrust::maximum<int>()) ==
              *std::max_element(keys.begin(), keys.end()),
          "the largest");
  return done();
}
