#include "runtime/data/hdf5_messages.hpp"

#include <array>
#include <cmath>

namespace ingot::hdf5 {
namespace {

constexpr int kMaxRank = 6;

std::string_view class_name(unsigned type_class) {
  constexpr std::array<std::string_view, 11> kNames = {
      "an integer", "a float",     "a time",  "a string",          "a bit field", "an opaque",
      "a compound", "a reference", "an enum", "a variable-length", "an array"};
  return type_class < kNames.size() ? kNames[type_class] : "an unknown";
}

/// IEEE 754 little-endian as the library describes it: sign, exponent and mantissa where they
/// belong.
bool is_ieee(Hdf5Cursor& cursor, std::uint32_t bits, std::uint32_t bytes) {
  const bool implied_leading_one = (bits >> 4 & 3) == 2;
  const std::uint32_t sign = bits >> 8 & 0xff;
  const std::uint16_t offset = cursor.u16();
  const std::uint16_t precision = cursor.u16();
  const std::array<std::uint8_t, 4> fields = {cursor.u8(), cursor.u8(), cursor.u8(), cursor.u8()};
  const std::uint32_t bias = cursor.u32();
  if (!implied_leading_one || offset != 0 || precision != bytes * 8) return false;
  if (bytes == 4) {
    return sign == 31 && fields == std::array<std::uint8_t, 4>{23, 8, 0, 23} && bias == 127;
  }
  return bytes == 8 && sign == 63 && fields == std::array<std::uint8_t, 4>{52, 11, 0, 52} &&
         bias == 1023;
}

/// The object `index` of the global heap collection at `address`.
std::span<const std::byte> heap_object(const FileBytes& file, std::uint64_t address,
                                       std::uint32_t index) {
  if (address > file.bytes.size()) address = file.bytes.size();
  Hdf5Cursor head(file.path, "global heap", file.bytes.subspan(address));
  const auto magic = head.text(4);
  head.take(4);
  const std::uint64_t size = head.u64();
  if (magic != "GCOL" || size < 16 || size - 16 > head.left()) {
    fail(ExitCode::kBadData, "{}: damaged HDF5 file: no global heap at offset {}", file.path,
         address);
  }
  Hdf5Cursor objects(file.path, "global heap", head.take(size - 16));
  while (objects.left() >= 16) {
    const std::uint16_t found = objects.u16();
    objects.take(6);
    const std::uint64_t bytes = objects.u64();
    if (found == 0) break;  // free space: the rest of the collection
    const auto object = objects.take(bytes);
    if (found == index) return object;
    objects.take(std::min<std::uint64_t>((8 - bytes % 8) % 8, objects.left()));
  }
  fail(ExitCode::kBadData, "{}: damaged HDF5 file: no object {} in the global heap at offset {}",
       file.path, index, address);
}

std::string as_text(std::span<const std::byte> bytes) {
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const auto end = text.find('\0'); end != std::string::npos) text.resize(end);
  return text;
}

Hdf5Value read_value(const FileBytes& file, const Type& type, Hdf5Cursor& data) {
  if (type.fixed_string) return as_text(data.take(type.bytes));
  if (type.variable_string) {
    const std::uint32_t length = data.u32();
    const std::uint64_t address = data.u64();
    const std::uint32_t index = data.u32();
    if (length == 0) return std::string();
    const auto object = heap_object(file, address, index);
    return as_text(object.first(std::min<std::size_t>(length, object.size())));
  }
  if (!type.number) return std::monostate();
  const int bytes = type.number->bytes;
  const std::uint64_t raw = data.sized(bytes);
  switch (type.number->kind) {
    case Hdf5Kind::kFloat:
      return bytes == 4 ? static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(raw)))
                        : std::bit_cast<double>(raw);
    case Hdf5Kind::kSigned: {
      const int unused = 64 - 8 * bytes;
      return static_cast<std::int64_t>(raw << unused) >> unused;
    }
    case Hdf5Kind::kUnsigned:
      if (raw > static_cast<std::uint64_t>(INT64_MAX)) return std::monostate();
      return static_cast<std::int64_t>(raw);
  }
  return std::monostate();
}

}  // namespace

Space read_space(const FileBytes& file, std::span<const std::byte> message) {
  Hdf5Cursor cursor(file.path, "dataspace message", message);
  const int version = cursor.u8();
  const int rank = cursor.u8();
  cursor.u8();  // whether maximum extents follow; contiguous storage cannot grow
  if (version != 1 && version != 2) {
    fail(ExitCode::kBadData, "{}: dataspace of version {}, expected 1 or 2", file.path, version);
  }
  const int kind = cursor.u8();  // reserved in version 1
  if (version == 1) cursor.take(4);
  Space space;
  space.null = version == 2 && kind == 2;
  if (rank > kMaxRank) {
    fail(ExitCode::kBadData, "{}: a dataset or attribute has {} dimensions, at most {} are read",
         file.path, rank, kMaxRank);
  }
  for (int dimension = 0; dimension < rank; ++dimension) {
    const std::uint64_t extent = cursor.u64();
    space.extents.push_back(extent);
    if (__builtin_mul_overflow(space.count, extent, &space.count)) {
      fail(ExitCode::kBadData, "{}: the extents of a dataset multiply to more than 2^64 elements",
           file.path);
    }
  }
  if (space.null) space.count = 0;
  return space;
}

Type read_type(const FileBytes& file, std::span<const std::byte> message) {
  Hdf5Cursor cursor(file.path, "datatype message", message);
  const std::uint32_t head = cursor.u32();
  const unsigned type_class = head & 0xf;
  const std::uint32_t bits = head >> 8;
  Type type;
  type.bytes = cursor.u32();
  type.description = fmt::format("{} type of {} bytes", class_name(type_class), type.bytes);
  const bool usual_size = type.bytes == 1 || type.bytes == 2 || type.bytes == 4 || type.bytes == 8;
  const bool big_endian = (bits & 1) != 0;
  if (type_class == 0 && usual_size) {
    const std::uint16_t offset = cursor.u16();
    const std::uint16_t precision = cursor.u16();
    if (big_endian) {
      type.description = "a big-endian integer type";
    } else if (offset == 0 && precision == type.bytes * 8) {
      type.number = Hdf5Type{(bits & 8) != 0 ? Hdf5Kind::kSigned : Hdf5Kind::kUnsigned,
                             static_cast<std::uint8_t>(type.bytes)};
    }
  } else if (type_class == 1) {
    if (big_endian) {
      type.description = "a big-endian float type";
    } else if (is_ieee(cursor, bits, type.bytes)) {
      type.number = Hdf5Type{Hdf5Kind::kFloat, static_cast<std::uint8_t>(type.bytes)};
    }
  }
  type.fixed_string = type_class == 3;
  // A variable-length string is stored as length (4), heap address (8) and object index (4).
  type.variable_string = type_class == 9 && (bits & 0xf) == 1 && type.bytes == 16;
  return type;
}

Layout read_layout(const FileBytes& file, std::span<const std::byte> message) {
  Hdf5Cursor cursor(file.path, "layout message", message);
  const int version = cursor.u8();
  if (version != 3 && version != 4) {
    fail(ExitCode::kBadData, "{}: layout message of version {}, expected 3 or 4", file.path,
         version);
  }
  Layout layout;
  const int kind = cursor.u8();
  if (kind == 1) {
    layout.address = cursor.u64();
    layout.bytes = cursor.u64();
  } else {
    layout.description = kind == 0   ? "compact"
                         : kind == 2 ? "chunked"
                         : kind == 3 ? "virtual"
                                     : "of an unknown kind";
  }
  return layout;
}

Link read_link(const FileBytes& file, std::span<const std::byte> message) {
  Hdf5Cursor cursor(file.path, "link message", message);
  const int version = cursor.u8();
  const int flags = cursor.u8();
  if (version != 1) {
    fail(ExitCode::kBadData, "{}: link message of version {}, expected 1", file.path, version);
  }
  const int kind = (flags & 8) != 0 ? cursor.u8() : 0;
  if ((flags & 4) != 0) cursor.take(8);   // creation order
  if ((flags & 16) != 0) cursor.take(1);  // character set
  const std::uint64_t length = cursor.sized(1 << (flags & 3));
  Link link;
  link.name = cursor.text(length);
  if (kind == 0) {
    link.address = cursor.u64();
  } else {
    link.description = kind == 1 ? "a soft link" : kind == 64 ? "an external link" : "a user link";
  }
  return link;
}

Hdf5Attribute read_attribute(const FileBytes& file, std::span<const std::byte> message) {
  Hdf5Cursor cursor(file.path, "attribute message", message);
  const int version = cursor.u8();
  const int flags = cursor.u8();
  if (version < 1 || version > 3) {
    fail(ExitCode::kBadData, "{}: attribute message of version {}, expected 1 to 3", file.path,
         version);
  }
  const std::uint64_t name_bytes = cursor.u16();
  const std::uint64_t type_bytes = cursor.u16();
  const std::uint64_t space_bytes = cursor.u16();
  if (version == 3) cursor.u8();  // character set of the name
  const std::uint64_t unit = version == 1 ? 8 : 1;
  const auto padded = [unit](std::uint64_t bytes) { return (bytes + unit - 1) / unit * unit; };
  Hdf5Attribute attribute;
  attribute.name = cursor.text(padded(name_bytes));
  const auto type_message = cursor.take(padded(type_bytes));
  const auto space_message = cursor.take(padded(space_bytes));
  if (version > 1 && (flags & 3) != 0) return attribute;  // a committed type: value not read
  const Type type = read_type(file, type_message);
  const Space space = read_space(file, space_message);
  if (space.count == 1) attribute.value = read_value(file, type, cursor);
  return attribute;
}

}  // namespace ingot::hdf5
