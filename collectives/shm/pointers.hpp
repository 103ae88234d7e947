// One address per rank, without an allocation where there are not very many.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace ingot::shm {

template <typename T>
class Pointers {
 public:
  explicit Pointers(int ranks) : count_(static_cast<std::size_t>(ranks)) {
    if (count_ > few_.size()) many_.resize(count_);
  }
  T*& operator[](int rank) { return data()[static_cast<std::size_t>(rank)]; }
  std::span<T* const> all() { return {data(), count_}; }
  std::span<const T* const> all_const() { return {data(), count_}; }

 private:
  T** data() { return many_.empty() ? few_.data() : many_.data(); }

  std::size_t count_;
  std::array<T*, 64> few_;
  std::vector<T*> many_;
};

}  // namespace ingot::shm
