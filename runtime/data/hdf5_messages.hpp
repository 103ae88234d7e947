// Decoders of the header messages of HDF5 objects that read_hdf5 understands: dataspace, datatype,
// layout, attribute and link. Private to the reader.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/data/hdf5_cursor.hpp"
#include "runtime/data/hdf5_reader.hpp"

namespace ingot::hdf5 {

/// The address that HDF5 writes for "nowhere".
constexpr std::uint64_t kUndefined = ~std::uint64_t{0};

/// Extents of a dataspace and their product, checked against overflow.
struct Space {
  std::vector<std::uint64_t> extents;
  std::uint64_t count = 1;
  bool null = false;
};

/// A datatype: numeric where `number` is set, a fixed or variable-length string, or something else,
/// which `description` names ("a compound type").
struct Type {
  std::optional<Hdf5Type> number;
  bool fixed_string = false;
  bool variable_string = false;
  std::uint32_t bytes = 0;
  std::string description;
};

/// Where a dataset's elements lie. `description` is empty for contiguous storage.
struct Layout {
  std::uint64_t address = kUndefined;
  std::uint64_t bytes = 0;
  std::string description;
};

struct Link {
  std::string name;
  std::uint64_t address = 0;
  std::string description;  ///< empty for hard links
};

Space read_space(const FileBytes& file, std::span<const std::byte> message);
Type read_type(const FileBytes& file, std::span<const std::byte> message);
Layout read_layout(const FileBytes& file, std::span<const std::byte> message);
Link read_link(const FileBytes& file, std::span<const std::byte> message);
/// Reads through the global heap where the value is a variable-length string.
Hdf5Attribute read_attribute(const FileBytes& file, std::span<const std::byte> message);

}  // namespace ingot::hdf5
