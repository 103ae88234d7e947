// Reads where the datasets and attributes of an HDF5 file lie, for files nobody vouches for.
//
// The HDF5 library never sees such a file: its metadata decoder is large and has a record of memory
// errors on hostile input. This reader accepts the plain subset that data sets need and that the
// library writes (Hdf5 "File Format Specification Version 3.0"): superblock versions 2 and 3, one
// group, contiguous datasets of little-endian integers and floats, scalar attributes. Everything
// else is refused by name. It keeps no state and may be called from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "runtime/data/file_bytes.hpp"

namespace ingot {

enum class Hdf5Kind : std::uint8_t { kUnsigned, kSigned, kFloat };

/// Element type of a dataset: kind and size in bytes (1, 2, 4, 8).
struct Hdf5Type {
  Hdf5Kind kind = Hdf5Kind::kUnsigned;
  std::uint8_t bytes = 0;

  std::string text() const;  ///< "uint16", "int32", "float32"
  friend bool operator==(const Hdf5Type&, const Hdf5Type&) = default;
};

struct Hdf5Dataset {
  std::string name;  ///< without the leading slash
  Hdf5Type type;
  std::vector<std::uint64_t> extents;
  std::uint64_t count = 0;   ///< elements; count * type.bytes bytes lie in the file
  std::uint64_t offset = 0;  ///< of the first byte in the file
};

/// monostate: the attribute exists but holds neither one number nor one text.
using Hdf5Value = std::variant<std::monostate, std::int64_t, double, std::string>;

struct Hdf5Attribute {
  std::string name;
  Hdf5Value value;
};

/// What the root group of a file holds.
struct Hdf5Contents {
  std::vector<Hdf5Dataset> datasets;
  std::vector<Hdf5Attribute> attributes;

  const Hdf5Dataset* find(const std::string& name) const;
  const Hdf5Attribute* find_attribute(const std::string& name) const;
};

/// Describes the file. Every extent, address and size is checked against the file before it is
/// used. Without `verify_checksums` the checksums of metadata are not compared (for fuzzing).
/// Error(kBadData) names the file, the object, what was found and what to do.
Hdf5Contents read_hdf5(const FileBytes& file, bool verify_checksums = true);

/// Checksum of HDF5 metadata: Bob Jenkins' lookup3 ("hashlittle", initial value 0).
std::uint32_t hdf5_checksum(std::span<const std::byte> bytes);

}  // namespace ingot
