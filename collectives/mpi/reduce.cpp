#include "collectives/mpi/reduce.hpp"

#include <algorithm>
#include <type_traits>

#include "collectives/element_types.hpp"

namespace ingot::mpi {
namespace {

struct Sum {
  template <typename T>
  T operator()(T a, T b) const {
    // Integers of any type wrap around, as MPI's do.
    if constexpr (std::is_integral_v<T>) {
      using Unsigned = std::make_unsigned_t<T>;
      return static_cast<T>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
    } else {
      return a + b;
    }
  }
};
struct Min {
  template <typename T>
  T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};
struct Max {
  template <typename T>
  T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

template <typename T, typename F>
void combine(void* into, const void* from, std::int64_t count, F operation) {
  auto* __restrict a = static_cast<T*>(into);
  const auto* __restrict b = static_cast<const T*>(from);
  for (std::int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_same_v<T, Bf16>) {
      a[i] = Bf16(operation(static_cast<float>(a[i]), static_cast<float>(b[i])));
    } else {
      a[i] = operation(a[i], b[i]);
    }
  }
}

template <typename F>
void combine_as(DType type, void* into, const void* from, std::int64_t count, F operation) {
  with_element_type(type, [&]<typename T>() { combine<T>(into, from, count, operation); });
}

}  // namespace

void reduce_into(void* into, const void* from, std::int64_t count, DType type,
                 ReduceOperation operation) {
  switch (operation) {
    case ReduceOperation::kSum:
      return combine_as(type, into, from, count, Sum());
    case ReduceOperation::kMin:
      return combine_as(type, into, from, count, Min());
    case ReduceOperation::kMax:
      return combine_as(type, into, from, count, Max());
  }
}

}  // namespace ingot::mpi
