// Creates HDF5 files whose datasets are contiguous and allocated at once, then hands out where each
// lies, so that bulk data go by pwrite. This is the only place that calls the HDF5 library.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/data/hdf5_reader.hpp"

namespace ingot {

struct Hdf5PlannedDataset {
  std::string name;
  Hdf5Type type;
  std::vector<std::uint64_t> extents;
};

/// What a file will hold. Text attributes stay below 64 KB (HDF5's limit in an object header);
/// longer texts are uint8 datasets.
struct Hdf5Plan {
  std::vector<Hdf5PlannedDataset> datasets;
  std::vector<std::pair<std::string, std::variant<std::int64_t, std::string>>> attributes;
};

/// A file being written under a temporary name. commit() makes it durable and gives it its name;
/// without commit() the destructor removes it. Failures are Error(kCannotWrite).
class Hdf5Writer {
 public:
  /// Creates `path` + ".tmp-<process id>" with all datasets allocated. The HDF5 library is not
  /// thread-safe: its calls run under one mutex of the process.
  Hdf5Writer(std::string path, const Hdf5Plan& plan);
  ~Hdf5Writer();
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;

  /// Writes into dataset number `dataset` of the plan at a byte offset inside it.
  void write(std::size_t dataset, std::uint64_t byte_offset, std::span<const std::byte> bytes);
  /// fsync, rename, fsync of the folder.
  void commit();

 private:
  std::string path_;
  std::string temporary_path_;
  int descriptor_ = -1;
  std::vector<std::uint64_t> offsets_;
  std::vector<std::uint64_t> sizes_;
};

/// The bytes of an array, for Hdf5Writer::write.
template <typename T>
std::span<const std::byte> bytes_of(std::span<const T> values) {
  return std::as_bytes(values);
}
inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

}  // namespace ingot
